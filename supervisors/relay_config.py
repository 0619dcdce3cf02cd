"""A relay's configuration: from relay.toml, from the environment, from the command line, or written in code.

    load_relay_config(path)  ->  file  <  environment  <  `over`      BadInput: one line with origin and key

| variable                      | overrides                                                                     |
|-------------------------------|-------------------------------------------------------------------------------|
| FERRYMAN_RELAY_<TABLE>_<KEY>  | that key, as in FERRYMAN_RELAY_SERVER_BIND; lists have commas between entries |
| PORT                          | the port of server.bind, as platforms that run containers name it             |

The keys are in relay_tables.py.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from pydantic import Field, ValidationError, model_validator

from ferryman.actors.relay.settings import Settings
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.relay_tables import (
    AccessConfig,
    CleanupConfig,
    LimitsConfig,
    LogConfig,
    ServerConfig,
    StorageConfig,
    Table,
    networks,
    split_address,
)

PREFIX = "FERRYMAN_RELAY_"
PORT = "PORT"
LARGEST_PORT = 65_535
Document = dict[str, object]


class RelayConfig(Table):
    server: ServerConfig = Field(default_factory=ServerConfig)
    access: AccessConfig = Field(default_factory=AccessConfig)
    storage: StorageConfig = Field(default_factory=StorageConfig)
    cleanup: CleanupConfig = Field(default_factory=CleanupConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    log: LogConfig = Field(default_factory=LogConfig)

    @model_validator(mode="after")
    def _somebody_can_come_in(self) -> RelayConfig:
        if self.server.require_key and not self.access.keys:
            raise ValueError("server.require_key = true without access.keys keeps everybody out: make a key first")
        return self

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
    def status_socket(self) -> Path:
        return Path(self.server.status_socket or f"{self.storage.database}.sock")

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
            require_key=server.require_key,
            tokens_create_groups=self.access.create_groups == "token",
            key_hashes=tuple((name, bytes.fromhex(digest)) for name, digest in self.access.keys.items()),
        )


def load_relay_config(
    path: Path | None, *, environment: Mapping[str, str] | None = None, over: Mapping[str, Document] | None = None
) -> RelayConfig:
    """Read and check relay.toml, what the environment and what the command line say on top. Raises BadInput."""
    document: Document = {}
    if path is not None:
        try:
            with path.open("rb") as file:
                document = tomllib.load(file)
        except OSError as error:
            raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: is not TOML: {error}") from error
    surrounded = dict(document)
    set_from_environment(surrounded, environment or {})
    final = dict(surrounded)
    for table, keys in (over or {}).items():
        for key, value in keys.items():
            put(final, table, key, value)
    try:
        return check_relay_config(final, "command line")
    except BadInput:  # a mistake is looked for where it is: the file's own come first
        check_relay_config(document, str(path))
        check_relay_config(surrounded, "environment")
        raise


def set_from_environment(document: Document, environment: Mapping[str, str]) -> None:
    """Put the environment's values into a document. Raises BadInput for a variable that names no key."""
    bind = "FERRYMAN_RELAY_SERVER_BIND"
    for variable, value in environment.items():
        if variable.startswith(PREFIX):
            table, key = key_of(variable)
            put(document, table, key, value_of(table, key, value, variable))
    port = environment.get(PORT)
    if port and bind not in environment:
        if not (port.isascii() and port.isdecimal() and int(port) <= LARGEST_PORT):
            raise BadInput(f"environment: {PORT}: wants a number from 0 to {LARGEST_PORT}, got {port!r:.80}")
        server = document.get("server")
        bound = cast("Document", server).get("bind") if isinstance(server, dict) else None
        host = str(bound or ServerConfig().bind).rpartition(":")[0]
        put(document, "server", "bind", f"{host}:{port}")


def key_of(variable: str) -> tuple[str, str]:
    """The table and key that a variable names."""
    table, _, key = variable.removeprefix(PREFIX).lower().partition("_")
    field = RelayConfig.model_fields.get(table)
    model = field.annotation if field is not None else None
    if not (isinstance(model, type) and issubclass(model, Table) and key in model.model_fields):
        raise BadInput(f"environment: {variable}: there is no key {table}.{key}")
    return table, key


def value_of(table: str, key: str, text: str, variable: str) -> object:
    """What a variable's text means: the kind of the key's default decides."""
    default = getattr(getattr(RelayConfig(), table), key)
    match default:
        case bool() if text in ("true", "false"):
            return text == "true"
        case int() if not isinstance(default, bool) and text.isascii() and text.isdecimal():
            return int(text)
        case tuple():
            return tuple(entry.strip() for entry in text.split(",") if entry.strip())
        case dict():
            raise BadInput(f"environment: {variable}: {table}.{key} is a table of its own: write it into relay.toml")
        case _:
            return text


def put(document: Document, table: str, key: str, value: object) -> None:
    """Set one key. A table that is none stays as it is, for the check to name."""
    before = document.get(table, {})
    if isinstance(before, dict):
        document[table] = {**cast("Document", before), key: value}


def check_relay_config(document: Mapping[str, object], origin: str) -> RelayConfig:
    """Check what `origin` gave. Raises BadInput, one line with `origin` and the key."""
    try:
        return RelayConfig.model_validate(document)
    except ValidationError as error:
        raise BadInput(f"{origin}: {complaint(error)}") from error


def complaint(error: ValidationError) -> str:
    """The first thing that is wrong, and how many more there are. What may be an API key is not shown."""
    first, *more = error.errors(include_url=False, include_context=False)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        said = f"{key}: there is no such key"
    elif first["loc"][:2] == ("access", "keys"):
        said = f"{key}: wants the hash that `ferryman relay key` prints, 64 hexadecimal digits"
    elif not key:  # what is wrong between tables names its keys itself
        said = first["msg"].removeprefix("Value error, ")
    else:
        given = "" if isinstance(first["input"], dict) else f", got {first['input']!r:.80}"
        said = f"{key}: {first['msg'].removeprefix('Value error, ')}{given}"
    return f"{said} (and {len(more)} more)" if more else said
