"""The key store's actor: the secrets of one device, one question at a time, off the loop.

| message                  | answer                                            |
|--------------------------|---------------------------------------------------|
| GetSecret(name)          | the bytes, None if there is no such secret        |
| PutSecret(name, secret)  | None, once it is durable                          |
| DeleteSecret(name)       | None                                              |
| GetKeyStoreStatus()      | which kind of store it is, and its warning        |

A store that does not answer is the asker's failure, not the actor's: the OS may be waiting for its user.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.messages import Ask
from ferryman.actors.keychain import Kind, OpenKeychain
from ferryman.actors.keychain_errors import KeychainError
from ferryman.actors.ports import Ports
from ferryman.protocol.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class GetSecret(Ask[bytes | None]):
    name: str


@dataclass(frozen=True, slots=True)
class PutSecret(Ask[None]):
    name: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeleteSecret(Ask[None]):
    name: str


@dataclass(frozen=True, slots=True)
class KeyStoreStatus:
    """warning: one line, "" if the keys are sealed."""

    kind: Kind
    warning: str


@dataclass(frozen=True, slots=True)
class GetKeyStoreStatus(Ask[KeyStoreStatus]):
    pass


Message = GetSecret | PutSecret | DeleteSecret | GetKeyStoreStatus


def key_store_body(opened: OpenKeychain, ports: Ports) -> Body:
    """The actor over an open key store. Closing it stays with whoever opened it."""
    keychain, run = opened.keychain, ports.threads.run

    async def body(ctx: Context[Message]) -> None:
        async for envelope in ctx:
            try:
                match envelope.msg:
                    case GetSecret(name):
                        envelope.reply(await run(partial(keychain.get, name)))
                    case PutSecret(name, secret):
                        envelope.reply(await run(partial(keychain.set, name, secret)))
                    case DeleteSecret(name):
                        envelope.reply(await run(partial(keychain.delete, name)))
                    case GetKeyStoreStatus():
                        envelope.reply(KeyStoreStatus(opened.kind, opened.warning))
            except (KeychainError, LocalProtocolError) as error:
                envelope.fail(error)
            except OSError as error:
                envelope.fail(KeychainError(f"the key store cannot be used: {error.strerror or error}"))

    return body
