"""The tables of relay.toml: every key, its default, and in the line below it what it settles.

The lines below the keys are the reference: examples/relay.toml is made of them, and docs/relay.md shows it.

| table     | what it settles                                             |
|-----------|-------------------------------------------------------------|
| [server]  | where it listens, who may see what, how it ends             |
| [access]  | who may use the relay, and who may create groups            |
| [storage] | the buffer's database and how much it may hold              |
| [cleanup] | how often the buffer is swept                               |
| [limits]  | what one source, device or group may do in a minute or hour |
| [log]     | what is logged, where and how                               |
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ferryman.actors.relay.settings import SourceNetwork

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Bytes = Annotated[int, Field(ge=1, le=2**53)]
Seconds = Annotated[int, Field(ge=1, le=10 * 365 * 86_400)]

MAX_BLOB_BYTES = 16 * 1024 * 1024  # one blob is one WebSocket message and one row: larger ones stall everyone else


class Table(BaseModel):
    """A table of relay.toml: exact types, no unknown keys, never changed after loading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


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
    require_key: bool = False
    """Let nobody in without one of `access.keys`: an upgrade without a key gets HTTP 401."""
    status_socket: str | None = None
    """Unix socket that `ferryman relay status` asks, of mode 0600; without it `<storage.database>.sock`."""

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


class AccessConfig(Table):
    create_groups: Literal["open", "token"] = "open"
    """"token": a HELLO that would create a group without one of `keys` is ERROR 1002; groups that exist stay open."""
    keys: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(default_factory=dict[str, str])
    """API keys by name, as hashes: `ferryman relay key NAME` makes one. A wrong key is ERROR 1002."""


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


class LogConfig(Table):
    file: str | None = None
    """A file for the log; without it the log goes to standard error."""
    format: Literal["auto", "json", "console"] = "auto"
    """One JSON object a line, or lines for people; "auto" is "console" in a terminal, else "json"."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged; "debug" tells of every connection."""
    blur_ips: bool = False
    """Log IPv4 addresses as their /24 and IPv6 ones as their /48."""


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
