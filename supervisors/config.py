"""A device's configuration: from TOML, from the environment, or written in code.

    RuntimeConfig.load(path)  ->  file  <  environment            BadInput: one line with file, key and what it wants

| variable            | overrides              |
|---------------------|------------------------|
| SYNC_RELAY_URL      | sync.relay_url         |
| SYNC_API_KEY        | sync.api_key           |
| SYNC_DEVICE_NAME    | sync.device_name       |
| SYNC_LOG_LEVEL      | sync.log_level         |
| FERRYMAN_HOME       | home                   |
| FERRYMAN_PASSPHRASE | keys.passphrase        |
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretBytes, SecretStr, ValidationError, field_validator, model_validator

from ferryman.protocol.crypto.keys import SEED_BYTES
from ferryman.protocol.errors import BadInput
from ferryman.protocol.relay.limits import INLINE_CAP_BYTES, LARGEST_BLOB_SIZE, MAX_BLOB_SIZE
from ferryman.supervisors.backends import Access, Managed, Relay, RelayBackend, RelayUrl, Table, access_by

PASSPHRASE = "FERRYMAN_PASSPHRASE"  # noqa: S105 - the variable's name
OVERRIDES = {
    "SYNC_RELAY_URL": ("sync", "relay_url"),
    "SYNC_API_KEY": ("sync", "api_key"),
    "SYNC_DEVICE_NAME": ("sync", "device_name"),
    "SYNC_LOG_LEVEL": ("sync", "log_level"),
    "FERRYMAN_HOME": ("", "home"),
    PASSPHRASE: ("keys", "passphrase"),
}

Milliseconds = Annotated[int, Field(ge=10, le=3_600_000)]


def _passphrase() -> SecretStr | None:
    found = os.environ.get(PASSPHRASE)
    return SecretStr(found) if found else None


def _host_name() -> str:
    return os.uname().nodename or "device"


class KeysConfig(Table):
    """Where the device's keys are kept: the OS keychain where there is one, else a sealed file in `home`."""

    passphrase: SecretStr | None = Field(default_factory=_passphrase, strict=False)
    """Opens the sealed file; from FERRYMAN_PASSPHRASE when it is not given."""
    allow_plain: bool = False
    """Without keychain and passphrase, keep the keys unsealed (mode 0600); `status` shows it."""
    use_os_keychain: bool = True
    """False: always the file, as in a container or a test."""


class SyncConfig(Table):
    """relay_url: wss://..., or ws://... on this machine and in a trusted network."""

    backend: RelayBackend = Relay()
    relay_url: RelayUrl | None = None
    api_key: SecretStr | None = Field(default=None, strict=False)
    """Sent as a bearer token, over TLS only."""
    device_keypair: Annotated[SecretBytes, Field(min_length=SEED_BYTES, max_length=SEED_BYTES)] | None = None
    """The 32-byte seed of the device's keys, in code only. None: made at the first start, loaded from then on."""
    device_name: Annotated[str, Field(min_length=1, max_length=200)] = Field(default_factory=_host_name)
    auto_reconnect: bool = True
    reconnect_delay_ms: Milliseconds = 1_000
    max_reconnect_delay_ms: Milliseconds = 30_000
    direct_invites: bool = False
    """Write invites that hold the group's secret itself (S4's form): whoever finds one later is a member."""
    approve_joins: bool = True
    """Ask a person before a device is let in by an invite. False: the first one that asks is let in unseen."""
    bare_groups: bool = False
    """Join groups whose ID certifies nothing (32 random bytes, as other programs make them): a mistyped or damaged
    secret then looks like such a group, and whoever learns the ID can register in it."""
    link_scheme: Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*$")] = "ferryman"
    sign_blobs: bool = True
    """Sign data blobs with the device's key; control blobs always are."""
    pad_blobs: bool = True
    """Hide the exact size of a blob (PADME): at most 12 % more bytes."""
    compress_blobs: bool = False
    """Compress before sealing; then padding is always on."""
    max_blob_size: Annotated[int, Field(ge=1_024, le=LARGEST_BLOB_SIZE)] = MAX_BLOB_SIZE
    """Bytes of a sealed blob; data may be 256 less. The relay's own limit counts too."""
    inline_bytes: Annotated[int, Field(ge=0, le=INLINE_CAP_BYTES)] = INLINE_CAP_BYTES
    """Blobs up to this size come with their notice, without a pull."""
    ca_file: str | None = None
    """PEM file with the certificate authority of a relay of your own."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _a_managed_relay_knows_us(self) -> SyncConfig:
        if isinstance(self.backend, Managed) and self.access().api_key is None:
            raise ValueError('backend "managed" wants an api_key, in its table, beside it, or as SYNC_API_KEY')
        return self

    def access(self) -> Access:
        """The relay of the backend that was chosen. Raises BackendUnavailable."""
        chosen = access_by(self.backend)
        return Access(self.relay_url or chosen.url, self.api_key or chosen.api_key)


class ControlConfig(Table):
    """The local socket in `home`, by which `ferryman status`, `push`, ... reach the process that holds the device."""

    enabled: bool = True
    takes: bool = False
    """Let `ferryman pull` take blobs: what it took, the host's own `blobs()` does not give again."""


class RuntimeConfig(Table):
    """home: the device's directory; it holds the ledger and the key store, and belongs to one process at a time."""

    home: Path = Field(strict=False)
    keys: KeysConfig = Field(default_factory=KeysConfig)
    sync: SyncConfig = Field(default_factory=SyncConfig)
    control: ControlConfig = Field(default_factory=ControlConfig)

    @field_validator("home")
    @classmethod
    def _tilde_is_home(cls, home: Path) -> Path:
        try:
            return home.expanduser()
        except RuntimeError as error:  # nobody's home
            raise ValueError(str(error)) from None

    @property
    def ledger(self) -> Path:
        return self.home / "ledger.db"

    @classmethod
    def load(cls, path: Path | None = None, *, environment: Mapping[str, str] = os.environ) -> RuntimeConfig:
        """The file's values, overridden by the environment's. Raises BadInput."""
        document: dict[str, Any] = {}
        origin = "the environment"
        if path is not None:
            origin = str(path)
            try:
                document = tomllib.loads(path.read_text(encoding="utf-8"))
            except OSError as error:
                raise BadInput(f"{path}: {error.strerror or error}") from None
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise BadInput(f"{path}: not a TOML file: {error}") from None
        override(document, environment)
        return cls.check(document, origin)

    @classmethod
    def check(cls, document: Mapping[str, Any], origin: str = "config") -> RuntimeConfig:
        """The tables of a configuration file, as mappings. Raises BadInput."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise BadInput(f"{origin}: {complaint(error)}") from None


def override(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    for variable, (table, key) in OVERRIDES.items():
        value = environment.get(variable)
        inner: Any = document.setdefault(table, {}) if table else document
        if value and isinstance(inner, dict):  # a table that is none is for the validation to name
            inner[key] = value


def complaint(error: ValidationError) -> str:
    """The first wrong key in one line. Values are left out: one of them may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    steps = [str(step) for step in first["loc"]]
    if steps[:2] == ["sync", "backend"]:
        del steps[2:3]  # the kind, which is no key of its own
    key = ".".join(steps) or "the configuration"
    match first["type"]:
        case "extra_forbidden":
            return f"{key}: there is no such key"
        case "missing":
            return f"{key}: is missing"
        case "union_tag_invalid":
            return f"{key}: wants one of {first.get('ctx', {})['expected_tags']}"
        case _:
            return f"{key}: {first['msg'].removeprefix('Value error, ')}"
