"""Trays of a stream of blobs: what is taken is on its way, whatever became of the client that should have read it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ferryman.actors.core.errors import ActorStopped
from ferryman.actors.core.ref import Pending
from ferryman.actors.sync_messages import Handed, Taken, Tray
from ferryman.supervisors.blobs import BlobStream


class Client:
    """Gives one blob after the other, and reads no tray."""

    def __init__(self) -> None:
        self.given = 0
        self.posted: list[tuple[Tray, Pending[None]]] = []
        self.recorded: list[int] = []

    def admit(self, reader: int) -> None:
        pass

    async def begin_next(self, _: int) -> Pending[Any]:
        self.given += 1
        answer = pending()
        answer.resolve((Handed(b"id", self.given, b"sender", b"content", 0, 0, None),))
        return answer

    async def begin_take(self, tray: Tray) -> Pending[None]:
        self.posted.append((tray, pending()))
        return self.posted[-1][1]

    async def take(self, blobs: list[Taken]) -> None:
        self.recorded += [blob.cursor for blob in blobs]


def pending() -> Pending[Any]:
    return Pending(SimpleNamespace(path="/client", house=SimpleNamespace(bodies={})))


async def test_what_is_taken_after_a_client_was_stopped_goes_on_another_tray():
    client = Client()
    stream = BlobStream(client, 1)
    await anext(stream)
    await anext(stream)
    client.posted[0][1].reject(ActorStopped("/client"))
    await anext(stream)
    await anext(stream)
    trays = [[taken.cursor for taken in tray.blobs] for tray, _ in client.posted]
    assert (client.recorded, trays) == ([1], [[1], [2, 3]])
