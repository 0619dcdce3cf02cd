"""relay.toml: every key, its default and what is said about a wrong one.

    load_relay_config(path) -> RelayConfig        BadInput: one line with the file, the key and what it wants

| table     | what it settles                                             |
|-----------|-------------------------------------------------------------|
| [server]  | where it listens, who may see what, how it ends             |
| [storage] | the buffer's database and how much it may hold              |
| [cleanup] | how often the buffer is swept                               |
| [limits]  | what one source, device or group may do in a minute or hour |
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ferryman.actors.relay.settings import Settings, SourceNetwork
from ferryman.protocol.errors import BadInput

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Bytes = Annotated[int, Field(ge=1, le=2**53)]
Seconds = Annotated[int, Field(ge=1, le=10 * 365 * 86_400)]

MAX_BLOB_BYTES = 16 * 1024 * 1024  # one blob is one WebSocket message and one row: larger ones stall everyone else


class Table(BaseModel):
    """A table of relay.toml: exact types, no unknown keys, never changed after loading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ServerConfig(Table):
    bind: str = "127.0.0.1:8080"
    """Address and port; an IPv6 address in brackets; port 0 takes a free one and prints it."""
    max_connections: Count = 1000
    """WebSocket connections at one time; one more gets HTTP 503."""
    allow_plaintext: bool = False
    """Accept ws:// on an address other than loopback: only behind a proxy that ends TLS."""
    tls_certificate: str | None = None
    """PEM file with the certificate chain; together with `tls_key` it turns TLS 1.3 on."""
    tls_key: str | None = None
    """PEM file with the certificate's private key."""
    trusted_proxies: tuple[str, ...] = Field(default=(), strict=False)
    """Networks whose X-Forwarded-For is believed."""
    metrics_allow: tuple[str, ...] = Field(default=("127.0.0.0/8", "::1/128"), strict=False)
    """Networks that may read /metrics and the figures in /health."""
    heartbeat: Annotated[int, Field(ge=1, le=3600)] = 30
    """Seconds between a client's signs of life; after three of them without any it is offline."""
    shutdown_grace: Annotated[int, Field(ge=1, le=300)] = 10
    """Seconds that an orderly end may take, whatever clients do."""
    log_file: str | None = None
    """A file for the log, one JSON line an event; without it the log goes to standard error."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""

    @field_validator("bind")
    @classmethod
    def _bind_is_address_and_port(cls, bind: str) -> str:
        split_address(bind)
        return bind

    @field_validator("trusted_proxies", "metrics_allow")
    @classmethod
    def _networks_parse(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network, strict=False)
        return networks

    @model_validator(mode="after")
    def _plaintext_stays_at_home(self) -> ServerConfig:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: set both or neither")
        host, _ = split_address(self.bind)
        if self.tls_certificate is None and not self.allow_plaintext and not is_loopback(host):
            raise ValueError(
                f"bind = {self.bind!r} without TLS would be open to eavesdroppers: set tls_certificate and tls_key, "
                "or allow_plaintext = true behind a proxy that ends TLS"
            )
        return self


class StorageConfig(Table):
    database: str = "/data/relay.db"
    """The buffer. Beside it stand `<database>.key`, the relay's identity, and `<database>.lock`."""
    max_blob_size: Annotated[int, Field(ge=1024, le=MAX_BLOB_BYTES)] = 1_048_576
    """Largest sealed blob in bytes; more is ERROR 2001."""
    max_group_storage: Bytes = 104_857_600
    """Bytes that one group may have buffered, 256 added for each blob; more is ERROR 2002."""
    max_total: Bytes = 10 * 1024**3
    """Bytes that all groups together may have buffered; more is ERROR 3000."""
    default_ttl: Seconds = 604_800
    """Seconds until a blob expires, and the longest that a client may ask for."""
    synchronous: Literal["extra", "full", "normal"] = "extra"
    """What a commit waits for; "normal" can lose acknowledged blobs at a power cut, and all cursors start anew then."""


class CleanupConfig(Table):
    interval: Seconds = 3600
    """Seconds between two sweeps."""
    vacuum_on_cleanup: bool = True
    """Give freed pages back to the file system after a sweep."""


class LimitsConfig(Table):
    connections_per_ip: Count = 10
    """Connections of one source at one time; one more gets HTTP 429."""
    handshakes_per_minute: Count = 60
    """Upgrades of one source in a minute, failed ones too; more get HTTP 429."""
    messages_per_minute: Count = 100
    """Messages of one device in a minute, and ten times as many of one source; more are ERROR 2000."""
    ingress_bytes_per_minute: Bytes = 32 * 1024 * 1024
    """Bytes that one source may send in a minute; more are ERROR 2000."""
    egress_bytes_per_minute: Bytes = 128 * 1024 * 1024
    """Bytes that one source may be sent in a minute; above that NOTIFY comes without its payload."""
    new_groups_per_hour: Count = 20
    """Groups that one source may store its first blob in, in an hour; more are ERROR 2000."""
    max_devices_per_group: Count = 64
    """Devices of one group seen within `default_ttl`; one more gets ERROR 2002."""
    invite_posts_per_minute: Count = 5
    """POST /invite of one source in a minute; more get HTTP 429."""
    invite_gets_per_minute: Count = 5
    """GET /invite of one source in a minute; more get HTTP 429."""
    max_invites: Count = 10_000
    """Open invites at one time; one more gets HTTP 503."""


class RelayConfig(Table):
    server: ServerConfig = Field(default_factory=ServerConfig)
    storage: StorageConfig = Field(default_factory=StorageConfig)
    cleanup: CleanupConfig = Field(default_factory=CleanupConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)

    @property
    def database(self) -> Path:
        return Path(self.storage.database)

    @property
    def key_file(self) -> Path:
        return Path(f"{self.storage.database}.key")

    @property
    def lock_file(self) -> Path:
        return Path(f"{self.storage.database}.lock")

    @property
    def address(self) -> tuple[str, int]:
        return split_address(self.server.bind)

    def settings(self) -> Settings:
        """What the actors need of it."""
        server, storage, limits = self.server, self.storage, self.limits
        return Settings(
            max_connections=server.max_connections,
            connections_per_ip=limits.connections_per_ip,
            handshakes_per_minute=limits.handshakes_per_minute,
            messages_per_minute=limits.messages_per_minute,
            ingress_bytes_per_minute=limits.ingress_bytes_per_minute,
            egress_bytes_per_minute=limits.egress_bytes_per_minute,
            new_groups_per_hour=limits.new_groups_per_hour,
            max_devices_per_group=limits.max_devices_per_group,
            invite_posts_per_minute=limits.invite_posts_per_minute,
            invite_gets_per_minute=limits.invite_gets_per_minute,
            max_invites=limits.max_invites,
            max_blob_size=storage.max_blob_size,
            max_group_storage=storage.max_group_storage,
            max_total=storage.max_total,
            default_ttl=storage.default_ttl,
            synchronous=storage.synchronous,
            cleanup_interval=self.cleanup.interval,
            vacuum_on_cleanup=self.cleanup.vacuum_on_cleanup,
            heartbeat=server.heartbeat,
            shutdown_grace=server.shutdown_grace,
            trusted_proxies=networks(server.trusted_proxies),
            metrics_allow=networks(server.metrics_allow),
        )


def load_relay_config(path: Path) -> RelayConfig:
    """Read and check relay.toml. Raises BadInput, one line with the file and the key."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: is not TOML: {error}") from error
    return check_relay_config(document, str(path))


def check_relay_config(document: Mapping[str, object], origin: str) -> RelayConfig:
    """Check what `origin` gave. Raises BadInput, one line with `origin` and the key."""
    try:
        return RelayConfig.model_validate(document)
    except ValidationError as error:
        raise BadInput(f"{origin}: {complaint(error)}") from error


def complaint(error: ValidationError) -> str:
    """The first thing that is wrong, and how many more there are."""
    first, *more = error.errors(include_url=False, include_context=False)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        said = f"{key}: there is no such key"
    else:
        said = f"{key}: {first['msg'].removeprefix('Value error, ')}, got {first['input']!r:.80}"
    return f"{said} (and {len(more)} more)" if more else said


def split_address(bind: str) -> tuple[str, int]:
    """ "127.0.0.1:8080" or "[::1]:8080" as host and port. Raises ValueError."""
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise ValueError('wants "address:port", such as "127.0.0.1:8080"')
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError('wants brackets round an IPv6 address, such as "[::1]:8080"')
    if not host:
        raise ValueError('wants an address before the port: "0.0.0.0" or "[::]" is every one')
    return host, int(port)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def networks(texts: tuple[str, ...]) -> tuple[SourceNetwork, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)
