"""WebSocket, Noise and frames against a relay that runs: bytes that lie, that never end, that were said before."""

import contextlib
import os
from random import Random

import pytest
import trio

from ferryman.protocol.crypto.noise import PIECE_BYTES, SEALED_PIECE_BYTES, static_public
from ferryman.protocol.identity import read_id
from ferryman.protocol.relay.messages import Push, PushAck
from tests.attacks.test_hostile_frames import FLOODS, LONGEST, with_ignored
from tests.attacks.test_hostile_handshakes import ANNA_NUMBER, LOW_ORDER, NOT_CANONICAL, key
from tests.fakes.raw_wire import BINARY, CONT, PING, PONG, TEXT, ws
from tests.fakes.wire import ANNA
from tests.fakes.wire_client import blob_id
from tests.vectors.noise_by_hand import third_message

GROUP = b"the group of those who attack it"
END_SECONDS = 20  # for what a relay does at once; a planted bug that it does not do has to be over in thirty

# name: frames -> the close code; each is tried before the handshake and in a group
FRAMES = {
    "an announced gigabyte": (ws(BINARY, b"", length=2**30), 1009),
    "an announced exbibyte": (ws(BINARY, b"", length=2**60), 1009),
    "a length with its top bit set": (ws(BINARY, b"", length=2**63), 1009),
    "pieces without an end": (ws(BINARY, b"", fin=False) + ws(CONT, b"", fin=False) * 4500, 1008),
    "a flood of pings": (ws(PING, bytes(125)) * 20_000, 1008),
    "a flood of pongs": (ws(PONG, bytes(125)) * 20_000, 1008),
    "pings between pieces": ((ws(BINARY, b"", fin=False) + ws(PING) * 100), 1008),
    "a message of text": (ws(TEXT, b"hello"), 1003),
    "a compressed message": (ws(BINARY, b"x", reserved=4), 1002),
    "an unmasked message": (ws(BINARY, b"x", mask=b""), 1002),
    "an empty message": (ws(BINARY), 1008),
}

BOMBS = {
    **{f"ignored {name}": with_ignored(value) for name, value in FLOODS.items()},
    "nested a million deep": with_ignored(b"\x91" * (LONGEST - 1000) + b"\xc0"),
    "a million entries for an envelope": FLOODS["nils"],
}

UNREADABLE = {True: (1002, 1003, 1008, 1009), False: (1008,)}  # of WebSocket frames, of anything inside them


async def say(raw, data):
    """To the end, or until the relay hears no more."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await raw.send(data)


async def end_of(raw, data):
    """(code of the last ERROR or 0, close code) after these bytes; None where nothing ends."""
    ended = None
    with trio.move_on_after(END_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, raw, data)
            ended = await raw.ended()
            nursery.cancel_scope.cancel()
    return ended


@pytest.mark.parametrize("stage", ["before the handshake", "in a group"])
@pytest.mark.parametrize(("data", "code"), FRAMES.values(), ids=FRAMES)
async def test_frames_that_lie_or_never_end_close_their_connection(relay, data, code, stage):
    async with relay.raw("mallory") as mallory:
        if stage == "in a group":
            await mallory.welcomed(GROUP)
        assert await end_of(mallory, data) == (0, code)


@pytest.mark.parametrize(("stage", "code"), [("before the handshake", 1009), ("in a group", 1008)])
async def test_a_message_in_pieces_of_one_byte_has_an_end(relay, stage, code):
    """4,096 bytes before the WELCOME, 4,096 pieces after it: whichever comes first."""
    async with relay.raw("mallory") as mallory:
        if stage == "in a group":
            await mallory.welcomed(GROUP)
        assert await end_of(mallory, ws(BINARY, b"a", fin=False) + ws(CONT, b"b", fin=False) * 4500) == (0, code)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stage", ["WebSocket", "Noise 1", "Noise 3", "a HELLO", "sealed", "a frame", "a frame's end"])
async def test_random_bytes_at_every_stage_end_the_connection(relay, stage, seed):
    chance = Random(f"{stage} {seed}")
    async with relay.raw("mallory") as mallory:
        match stage:
            case "WebSocket":
                data = chance.randbytes(20_000)
            case "Noise 1":
                data = ws(BINARY, chance.randbytes(31) + b"\xff")  # of 32 random bytes, nearly all are a key
            case "Noise 3":
                await mallory.first()
                data = ws(BINARY, chance.randbytes(64))
            case "a HELLO":
                await mallory.secured()
                data = ws(BINARY, mallory.seal(b"\xc1" + chance.randbytes(500)))
            case "sealed":
                await mallory.welcomed(GROUP)
                data = ws(BINARY, chance.randbytes(1000))
            case "a frame":
                await mallory.welcomed(GROUP)
                data = b"".join(ws(BINARY, mallory.seal(b"\xc1" + chance.randbytes(500))) for _ in range(10))
            case _:
                await mallory.welcomed(GROUP)
                plain = mallory.plain(Push(blob_id(1), b"x", 0)) + chance.randbytes(1)
                data = ws(BINARY, mallory.seal(plain))
        assert await end_of(mallory, data) in [(0, code) for code in UNREADABLE[stage == "WebSocket"]]


@pytest.mark.parametrize("data", [*BOMBS.values()], ids=BOMBS)
async def test_a_frame_that_is_small_to_send_and_large_to_hold_is_refused(relay, data):
    """Sealed well, and as long as a frame may be."""
    async with relay.raw("mallory") as mallory:
        await mallory.welcomed(GROUP)
        assert await end_of(mallory, b"".join(ws(BINARY, mallory.seal(data)) for _ in range(3))) == (1000, 1008)


@pytest.mark.parametrize("number", [*LOW_ORDER.values(), *NOT_CANONICAL.values()], ids=[*LOW_ORDER, *NOT_CANONICAL])
async def test_a_bad_ephemeral_key_ends_the_handshake(relay, number):
    async with relay.raw("mallory") as mallory:
        assert await end_of(mallory, ws(BINARY, key(number))) == (0, 1008)


@pytest.mark.parametrize("number", [ANNA_NUMBER | 1 << 255, *LOW_ORDER.values()], ids=["a second form", *LOW_ORDER])
async def test_a_bad_static_key_is_nobodys_device_id(relay, number):
    """Everything else of the handshake holds: only the key that is shown is wrong."""
    async with relay.raw("mallory") as mallory:
        _, message2 = await mallory.first()
        message3 = third_message(
            mallory.ephemeral, message2, read_id(relay.key), private=ANNA.noise_private, shown=key(number)
        )
        assert await end_of(mallory, ws(BINARY, message3)) == (0, 1008)


async def test_the_same_message_with_the_right_key_is_a_handshake(relay):
    async with relay.raw("mallory") as mallory:
        _, message2 = await mallory.first()
        message3 = third_message(
            mallory.ephemeral, message2, read_id(relay.key), private=ANNA.noise_private, shown=ANNA.device_id
        )
        await mallory.send(ws(BINARY, message3))
        with trio.move_on_after(0.3):
            await mallory.reader.frame()
            pytest.fail("the relay ended a good handshake")


@pytest.mark.req("W2-21")
async def test_a_frame_cut_anew_on_its_way_is_never_read(relay):
    """§2's rule: WebSocket's boundaries are not authenticated; the pieces of a frame alone are good Noise messages."""
    async with relay.raw("mallory") as mallory:
        await mallory.welcomed(GROUP)
        before = await latest(relay)
        sealed = mallory.sealed(Push(blob_id(1), b"\x90" * PIECE_BYTES, 0))
        assert len(sealed) > SEALED_PIECE_BYTES
        cut = ws(BINARY, sealed[:SEALED_PIECE_BYTES]) + ws(BINARY, sealed[SEALED_PIECE_BYTES:])
        assert await end_of(mallory, cut) == (0, 1008)
    assert await latest(relay) == before


@pytest.mark.req("W2-08")
async def test_two_frames_joined_into_one_message_are_not_read(relay):
    async with relay.raw("mallory") as mallory:
        await mallory.welcomed(GROUP)
        before = await latest(relay)
        both = mallory.sealed(Push(blob_id(2), b"", 0)) + mallory.sealed(Push(blob_id(3), b"", 0))
        assert await end_of(mallory, ws(BINARY, both)) == (0, 1008)
    assert await latest(relay) == before


@pytest.mark.parametrize("cut", [1, 16, 17, 100])
async def test_a_frame_without_its_end_is_not_read(relay, cut):
    async with relay.raw("mallory") as mallory:
        await mallory.welcomed(GROUP)
        assert await end_of(mallory, ws(BINARY, mallory.sealed(Push(blob_id(4), bytes(200), 0))[:-cut])) == (0, 1008)


async def test_a_frame_that_is_sent_again_ends_the_connection_and_is_stored_once(relay):
    async with relay.raw("mallory") as mallory:
        await mallory.welcomed(GROUP)
        before = await latest(relay)
        await mallory.say(Push(os.urandom(16), b"once", 0))
        assert isinstance(await mallory.hear(), PushAck)
        assert await end_of(mallory, mallory.said[-1]) == (0, 1008)
    assert await latest(relay) == before + 1


async def test_a_recorded_connection_cannot_be_played_again(relay):
    """Somebody on the wire repeats each byte that a device sent; the relay's own half of the handshake is new."""
    async with relay.raw("anna") as anna:
        await anna.welcomed(GROUP)
        await anna.say(Push(os.urandom(16), b"secret", 0))
        await anna.hear()
        before = await latest(relay)
    async with relay.raw("mallory") as mallory:
        assert await end_of(mallory, b"".join(anna.said)) == (0, 1008)
    assert await latest(relay) == before


async def test_a_third_message_of_another_connection_is_no_proof(relay):
    async with relay.raw("anna") as anna, relay.raw("mallory") as mallory:
        await anna.secured()
        mallory.ephemeral = anna.ephemeral
        await mallory.first()
        assert await end_of(mallory, anna.said[1]) == (0, 1008)
    assert static_public(anna.keys.noise_private) == anna.keys.device_id


async def latest(relay):
    """The group's highest cursor."""
    async with relay.client("a witness", relay.address()) as witness:
        return (await witness.hello(GROUP)).max_cursor
