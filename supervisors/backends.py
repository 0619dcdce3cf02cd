"""Through whom a device syncs (S4 §6.2): `sync.backend` in ferryman.toml, `SyncConfig(backend=...)` in code.

| kind       | tier | is                                            | in this build         |
|------------|------|-----------------------------------------------|-----------------------|
| relay      | 2, 3 | a relay of one's own: a URL                   | yes, the default      |
| managed    | 4, 5 | a relay that others run: a URL and an API key | yes                   |
| iroh       | 1    | the public network of iroh, no relay          | no: BackendUnavailable|
| enterprise | 6    | a relay behind a company's OpenID Connect     | no: BackendUnavailable|

    backend = "relay"              or as a table:    [sync.backend]
    relay_url = "wss://..."                          kind = "managed"
                                                     url = "wss://..."
                                                     api_key = "..."

`sync.relay_url` and `sync.api_key`, and so the environment, come before the url and api_key of the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from ferryman.actors.transport import read_relay_url
from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.errors import BackendUnavailable


def _checked(url: str) -> str:
    try:
        read_relay_url(url)
    except BadInput as error:
        raise ValueError(error.message) from None
    return url


RelayUrl = Annotated[str, AfterValidator(_checked)]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s/?#]+[^\s?#]*$", max_length=2_048)]


class Table(BaseModel):
    """Exact types, no unknown keys, never changed after loading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Relay(Table):
    kind: Literal["relay"] = "relay"
    url: RelayUrl | None = None


class Managed(Table):
    """api_key: sent as a bearer token, over TLS only. Needed, here or as `sync.api_key`: it may stand in no file."""

    kind: Literal["managed"] = "managed"
    url: RelayUrl | None = None
    api_key: SecretStr | None = Field(default=None, strict=False)


class Iroh(Table):
    kind: Literal["iroh"] = "iroh"


class Oidc(Table):
    issuer: HttpsUrl
    client_id: Annotated[str, Field(min_length=1, max_length=255)]


class Enterprise(Table):
    kind: Literal["enterprise"] = "enterprise"
    url: RelayUrl
    auth: Oidc


def _named(value: object) -> object:
    """A backend that needs no more may be given by its name alone."""
    return {"kind": value} if isinstance(value, str) else value


RelayBackend: TypeAlias = Annotated[
    Annotated[Relay | Managed | Iroh | Enterprise, Field(discriminator="kind")], BeforeValidator(_named)
]


@dataclass(frozen=True, slots=True)
class Access:
    """Where the relay is, and the key that it asks for. None: the configuration names none."""

    url: str | None
    api_key: SecretStr | None = field(repr=False)


def access_by(backend: RelayBackend) -> Access:
    """Raises BackendUnavailable."""
    match backend:
        case Relay(url=url):
            return Access(url, None)
        case Managed(url=url, api_key=api_key):
            return Access(url, api_key)
        case Iroh(kind=kind) | Enterprise(kind=kind):
            raise BackendUnavailable(kind)
