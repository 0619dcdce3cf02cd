"""Who may speak for whom, against a relay that runs: another's name, another's group, another's proof, another's ID."""

import hashlib
import os

import pytest
import trio

from ferryman.protocol.crypto.group_proof import sign_proof
from ferryman.protocol.crypto.keys import derive_group
from ferryman.protocol.relay.messages import Ack, Delete, Hello, Presence, Pull, Push
from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.wire_client import blob_id, device

GROUP = b"a group that is one of bare IDs."


@pytest.fixture
def keys():
    return derive_group(os.urandom(32), os.urandom(16))


REQUESTS = [Push(blob_id(1), b"x", 0), Pull(0, 1, False), Ack(0), Presence("online"), Delete(blob_id(1))]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
@pytest.mark.parametrize(
    "lie", [{"sender_id": device("anna").device_id}, {"group_id": b"g" * 32}], ids=["sender", "group"]
)
async def test_who_speaks_in_anothers_name_or_group_is_put_out(relay, request_, lie):
    async with relay.raw("mallory") as mallory:
        await mallory.welcomed(GROUP)
        await mallory.say(request_, **lie)
        assert await mallory.ended() == (1002, 1008)


async def test_a_hello_in_anothers_name_is_no_hello(relay):
    async with relay.raw("mallory") as mallory:
        await mallory.secured()
        await mallory.say(Hello(1, "anna", bytes(32), 0), sender_id=device("anna").device_id)
        assert await mallory.ended() == (1002, 1008)


async def test_a_hello_whose_groups_differ_is_no_hello(relay):
    async with relay.raw("mallory") as mallory:
        await mallory.secured()
        await mallory.say(Hello(1, "mallory", GROUP, 0), group_id=b"g" * 32)
        assert await mallory.ended() == (1002, 1008)


async def test_who_knows_an_id_without_its_key_cannot_sit_on_the_group(relay, keys):
    """A stranger is there first, with devices and blobs; the first proof puts all of it out, for good."""
    async with relay.raw("mallory") as mallory:
        await mallory.welcomed(keys.group_id)
        await mallory.say(Push(blob_id(1), b"planted", 0))
        await mallory.hear()
        async with relay.client("anna", relay.address()) as anna:
            await anna.prove(keys)
            assert (await anna.pull(0)).blobs == ()
            assert await mallory.ended() == (1002, 1008)
            await anna.push(2, b"ours")
        async with relay.raw("mallory") as again:
            await again.secured()
            again.group_id = keys.group_id
            await again.say(Hello(1, "mallory", keys.group_id, 0))
            assert (await again.hear()).code == 1002
        async with relay.client("bert", relay.address()) as bert:
            await bert.prove(keys)
            assert [blob.payload for blob in (await bert.pull(0)).blobs] == [b"ours"]


@pytest.mark.req("W5-28", "W5-31")
async def test_a_stranger_with_a_key_of_his_own_cannot_certify_an_id_that_exists(relay, keys):
    """His key and his proof hold; the ID is a hash of another key."""
    his = derive_group(os.urandom(32), keys.group_id[:16])
    async with relay.raw("mallory") as mallory:
        await mallory.secured()
        proof = sign_proof(his.authentication_key, mallory.noise.handshake_hash, keys.group_id)
        mallory.group_id = keys.group_id
        await mallory.say(Hello(1, "mallory", keys.group_id, 0, his.group_key, proof))
        assert await mallory.ended() == (1002, 1008)


async def test_a_proof_of_another_connection_is_no_proof(relay, keys):
    async with relay.client("anna", relay.address()) as anna:
        await anna.prove(keys)
        seen = keys.prove(anna.noise.handshake_hash)
        async with relay.raw("mallory") as mallory:
            await mallory.secured()
            mallory.group_id = keys.group_id
            await mallory.say(Hello(1, "mallory", keys.group_id, 0, keys.group_key, seen))
            assert await mallory.ended() == (1002, 1008)
        assert (await anna.push(1)).cursor == 1


@pytest.mark.parametrize("proof", [bytes(64), b"\xff" * 64], ids=["zeros", "ones"])
@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32], ids=["zero", "one", "no point"])
async def test_a_group_made_for_a_weak_key_is_not_closed_by_it(relay, point, proof):
    """An ID that certifies a key of small order: libsodium would have to refuse its signatures."""
    salt = os.urandom(16)
    group_id = salt + hashlib.sha256(b"ferryman/group-id/1" + salt + point).digest()[:16]
    async with relay.raw("mallory") as mallory:
        await mallory.secured()
        mallory.group_id = group_id
        await mallory.say(Hello(1, "mallory", group_id, 0, point, proof))
        assert await mallory.ended() == (1002, 1008)


async def test_a_device_cannot_acknowledge_what_was_never_given(relay):
    async with relay.raw("mallory") as mallory:
        await mallory.welcomed(GROUP)
        for cursor in (2**62, 2**63 - 1, 10**6):
            await mallory.say(Ack(cursor))
        assert await mallory.ended() == (1000, 1008)


async def test_the_same_device_twice_is_the_newer_one_and_the_other_is_told(relay):
    """Whoever has copied a device's key can take its seat; the owner sees it, and the group goes on."""
    async with relay.raw("anna") as anna, relay.raw("anna") as copy:
        await anna.welcomed(GROUP)
        await copy.welcomed(GROUP)
        with trio.fail_after(PATIENCE_SECONDS):
            assert await anna.ended() == (0, 4001)
        await copy.say(Pull(0, 1, False))
        await copy.hear()
