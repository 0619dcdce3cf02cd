"""One example of every message, with all its optional fields and with none, and who sends it."""

from __future__ import annotations

from dataclasses import dataclass

from ferryman.protocol.identity import show_id
from ferryman.protocol.relay import messages as m
from tests.fakes.wire import ANNA, BERT, BLOB_ID, GROUP_SALT, NOW, RELAY_ID

GROUP_ID = GROUP_SALT + bytes(range(16))
INCARNATION = b"incarnation-0001"


@dataclass(frozen=True)
class Sample:
    name: str
    message: m.Message
    from_client: bool


SAMPLES = (
    Sample("hello, bare", m.Hello(1, "Anna's laptop", GROUP_ID, 0), True),
    Sample(
        "hello, with proof",
        m.Hello(1, "Anna's laptop", GROUP_ID, 41, b"k" * 32, b"p" * 64, 4096, INCARNATION),
        True,
    ),
    Sample("welcome, bare", m.Welcome(1, show_id(RELAY_ID), 41, 3), False),
    Sample("welcome, full", m.Welcome(1, show_id(RELAY_ID), 41, 3, 7, 30, INCARNATION, 1_048_576), False),
    Sample("push", m.Push(BLOB_ID, b"a sealed blob", 0), True),
    Sample("push, empty payload", m.Push(BLOB_ID, b"", 604_800), True),
    Sample("push_ack", m.PushAck(BLOB_ID, 42, NOW), False),
    Sample("pull, ack left out", m.Pull(41, 0), True),
    Sample("pull, ack false", m.Pull(2**63 - 1, 2**32 - 1, False), True),
    Sample("pull_response, empty", m.PullResponse((), False, 0), False),
    Sample(
        "pull_response, two blobs",
        m.PullResponse(
            (
                m.BlobEntry(BLOB_ID, 42, ANNA.device_id, b"first", NOW),
                m.BlobEntry(b"another blob id.", 43, BERT.device_id, b"", NOW + 1),
            ),
            True,
            44,
            42,
        ),
        False,
    ),
    Sample("ack", m.Ack(42), True),
    Sample("presence", m.Presence("away"), True),
    Sample("notify", m.Notify(BLOB_ID, 42, ANNA.device_id, NOW, 13), False),
    Sample("notify, inline", m.Notify(BLOB_ID, 42, ANNA.device_id, NOW, 13, b"a sealed blob"), False),
    Sample(
        "peers",
        m.Peers((m.PeerDevice(ANNA.device_id, "Anna's laptop", "online", NOW, 42),)),
        False,
    ),
    Sample("delete", m.Delete(BLOB_ID), True),
    Sample("error, bare", m.Error(1000, "INVALID_MESSAGE"), False),
    Sample("error, full", m.Error(2000, "RATE_LIMITED", BLOB_ID, 1500), True),
)
BY_NAME = {sample.name: sample for sample in SAMPLES}
