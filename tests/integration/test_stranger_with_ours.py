"""A device of ours and a stranger's in one group, through our relay: each opens what the other seals."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio

from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.errors import InviteRefused
from ferryman.protocol.sync.events import BlobAvailable, HistoryFork, UndecryptableBlobs
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.runtime import Runtime, open_runtime
from tests.fakes.sync_world import connected, introduced, receive
from tests.integration.stranger import invite as invites
from tests.integration.stranger.blob import CHAINED, COMPRESSED, CONTROL, PADDED, SIGNED, Outbox, open_blob, seal_blob
from tests.integration.stranger.client import dial
from tests.integration.stranger.keys import Device, join_group, new_group, sha256
from tests.integration.stranger.process import running_relay
from tests.integration.stranger.wire import pack, unpack

STRANGER = Device(b"a stranger's seed of 32 bytes...")
EVERY_FLAG = [
    chained | signed | compressed | padded
    for chained in (0, CHAINED)
    for signed in (0, SIGNED)
    for compressed in (0, COMPRESSED)
    for padded in (0, PADDED)
]


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    with running_relay(tmp_path_factory.mktemp("relay")) as running:
        yield running


@asynccontextmanager
async def our_device(home, relay, **sync):
    config = RuntimeConfig(
        home=home,
        keys=KeysConfig(passphrase=None, allow_plain=True, use_os_keychain=False),
        sync=SyncConfig(device_name="ours", relay_url=relay.url, direct_invites=True, **sync),
    )
    async with open_runtime(config) as runtime:
        with trio.fail_after(60):
            yield runtime


in_thread = trio.to_thread.run_sync


async def settled(runtime: Runtime) -> None:
    await connected(runtime)
    await introduced(runtime)


def group_of(entries):
    return join_group(entries["s"], entries["g"])


def stranger_reads_all(relay, group):
    """Every blob of the group, opened: (sender, opened), oldest first."""
    with dial(relay.port, STRANGER) as client:
        client.enter(group)
        blobs = client.pull(0, 1000)["blobs"]
    return [
        (
            each,
            open_blob(each["payload"], group=group, sender_id=each["sender_id"], blob_id=each["blob_id"]),
        )
        for each in blobs
    ]


def stranger_pushes(relay, group, sealed_blobs):
    with dial(relay.port, STRANGER) as client:
        client.enter(group)
        for blob_id, sealed in sealed_blobs:
            client.push(blob_id, sealed)


@pytest.mark.req("S4-140", "S4-141", "S4-38")
@pytest.mark.req("W7-17")
async def test_a_stranger_joins_by_a_code_of_ours_and_both_read_each_other(tmp_path, relay):
    async with our_device(tmp_path, relay) as ours:
        await ours.sync.enable()
        await settled(ours)  # so that it knows the relay's key, and the invite can pin it
        invite = await ours.sync.create_invite()
        status, _, answer = await in_thread(invites.claim, relay.port, invite.short_code)
        assert status == 200
        entries = invites.read_payload(invites.open_under_code(answer["encrypted_payload"], invite.short_code))
        assert (entries["v"], entries["r"], entries["c"]) == (1, relay.url, ours.sync.device_id())
        assert entries["k"] == relay.key
        assert 590 <= entries["e"] - time.time() <= 600
        assert entries == invites.read_payload(invites.read_link(invite.link))
        assert (await in_thread(invites.claim, relay.port, invite.short_code))[0] == 404
        group = await in_thread(group_of, entries)
        assert group.proper

        await ours.sync.push(b"from ours")
        outbox = Outbox(group, STRANGER, b"a chain.")
        hello = outbox.seal(
            pack({"kind": "member", "device_name": "a stranger"}),
            first := os.urandom(16),
            os.urandom(24),
            flags=CONTROL | CHAINED | SIGNED | PADDED,
        )
        data = outbox.seal(b"from the stranger", second := os.urandom(16), os.urandom(24))
        await in_thread(stranger_pushes, relay, group, [(first, hello), (second, data)])
        assert await receive(ours, 1) == [b"from the stranger"]
        stored = b"".join(path.read_bytes() for path in relay.folder.iterdir() if path.is_file())
        assert data in stored
        assert [said for said in (b"from ours", b"from the stranger") if said in stored] == []

        (entry, introduced_as), (_, opened), *_ = await in_thread(stranger_reads_all, relay, group)
        assert introduced_as.flags & CONTROL
        assert unpack(introduced_as.content) == {"kind": "member", "device_name": "ours"}
        assert entry["sender_id"] == ours.sync.device_id()
        assert opened.content == b"from ours"


@pytest.mark.req("S4-138", "S4-143", "S4-145")
@pytest.mark.parametrize("by", ["code", "code as people type it", "link"])
@pytest.mark.req("W9-24")
async def test_ours_joins_by_a_strangers_invite(tmp_path, relay, by):
    secret, code = os.urandom(32), invites.write_code(os.urandom(10))
    group = new_group(secret, os.urandom(16))
    payload = invites.write_payload(relay.url, group.group_id, secret, STRANGER.device_id, int(time.time()) + 600)
    sealed = await in_thread(invites.seal_under_code, payload, code, os.urandom(24))
    assert (await in_thread(invites.leave, relay.port, code, sealed))[0] == 201
    if by == "link":
        said = invites.write_link(payload, scheme="anything")
    elif by == "code":
        said = code
    else:
        said = code.lower().replace("-", " ").replace("1", "l").replace("0", "o")
    outbox = Outbox(group, STRANGER, b"a chain.")
    waiting = outbox.seal(b"it was here before you", blob_id := os.urandom(16), os.urandom(24))
    await in_thread(stranger_pushes, relay, group, [(blob_id, waiting)])
    async with our_device(tmp_path, relay) as ours:
        await ours.sync.join_invite(said)
        await settled(ours)
        assert await receive(ours, 1) == [b"it was here before you"]
        await ours.sync.push(b"thank you")
    (_, last) = (await in_thread(stranger_reads_all, relay, group))[-1]
    assert last.content == b"thank you"


async def test_a_code_that_was_taken_back_or_says_a_wrong_secret_joins_nobody(tmp_path, relay):
    group = new_group(bytes(32), os.urandom(16))
    expires = int(time.time()) + 600
    payload = invites.write_payload(relay.url, group.group_id, b"another".ljust(32), STRANGER.device_id, expires)
    async with our_device(tmp_path, relay) as ours:
        with pytest.raises(BadInput):
            await ours.sync.join_invite(invites.write_link(payload))
        code = invites.write_code(os.urandom(10))
        _, _, left = await in_thread(invites.leave, relay.port, code, "AAAA")
        path, bearer = f"/invite/{invites.lookup_key(code)}", f"Bearer {left['revoke_token']}"
        assert (await in_thread(lambda: invites.ask(relay.port, "DELETE", path, Authorization="Bearer x")))[0] == 404
        assert (await in_thread(lambda: invites.ask(relay.port, "DELETE", path, Authorization=bearer)))[0] == 204
        with pytest.raises(InviteRefused):
            await ours.sync.join_invite(code)


@pytest.mark.req("S4-98", "S4-99", "S4-15")
@pytest.mark.parametrize("switches", ["sign pad", "sign compress", "pad", ""])
@pytest.mark.req("W6-11")
async def test_what_ours_seals_is_a_chain_that_the_stranger_follows(tmp_path, relay, switches):
    contents = [b"", b"short", b"long enough to compress " * 500, os.urandom(1_048_576 - 256)]
    how = {f"{name}_blobs": name in switches for name in ("sign", "pad", "compress")}
    async with our_device(tmp_path, relay, **how) as ours:
        await ours.sync.enable()
        await settled(ours)
        invite = await ours.sync.create_invite()
        for content in contents:
            await ours.sync.push(content)
        sender = ours.sync.device_id()
    group = await in_thread(group_of, invites.read_payload(invites.read_link(invite.link)))
    found = await in_thread(stranger_reads_all, relay, group)
    assert [opened.content for _, opened in found[1:]] == contents
    assert {each["sender_id"] for each, _ in found} == {sender}
    assert [opened.link.seq for _, opened in found] == [1, 2, 3, 4, 5]
    assert found[0][1].link.prev == bytes(16)
    for (before, first), (_, second) in pairwise(found):
        assert second.link.prev == sha256(before["payload"])[:16]
        assert second.link.chain_id == first.link.chain_id
    introduction, *data = [opened.flags for _, opened in found]
    assert introduction & (CONTROL | CHAINED | SIGNED) == CONTROL | CHAINED | SIGNED
    wanted = CHAINED | SIGNED * how["sign_blobs"] | PADDED * (how["pad_blobs"] or how["compress_blobs"])
    assert {flags & ~COMPRESSED for flags in data} == {wanted}
    assert any(flags & COMPRESSED for flags in data) == how["compress_blobs"]


async def test_ours_opens_what_a_stranger_seals_in_any_way_that_the_page_allows(tmp_path, relay):
    secret = os.urandom(32)
    group = new_group(secret, os.urandom(16))
    outbox = Outbox(group, STRANGER, b"a chain.")
    sealed, contents = [], []
    for flags in EVERY_FLAG:
        blob_id, nonce, content = os.urandom(16), os.urandom(24), b"sealed with %02x " % flags * 9
        if flags & CHAINED:
            sealed.append((blob_id, outbox.seal(content, blob_id, nonce, flags=flags)))
        else:
            how = {"group": group, "device": STRANGER, "blob_id": blob_id, "nonce": nonce, "flags": flags}
            sealed.append((blob_id, seal_blob(content, **how)))
        contents.append(content)
    await in_thread(stranger_pushes, relay, group, sealed)
    payload = invites.write_payload(relay.url, group.group_id, secret, STRANGER.device_id, int(time.time()) + 600)
    async with our_device(tmp_path, relay) as ours:
        await ours.sync.join_invite(invites.write_link(payload))
        assert await receive(ours, len(contents)) == contents


@pytest.mark.req("W6-27")
async def test_ours_tells_what_a_stranger_sealed_wrongly_and_goes_on(tmp_path, relay):
    secret = os.urandom(32)
    group = new_group(secret, os.urandom(16))
    other = Device(bytes(32))

    class Impostor(Device):
        """Shakes hands as the stranger, signs as another."""

        device_id = STRANGER.device_id
        sign_pub = other.sign_pub
        sign = other.sign

    one, two, three, four, five = (os.urandom(16) for _ in range(5))
    outbox = Outbox(group, STRANGER, b"a chain.")
    fork = seal_blob(b"a", group=group, device=STRANGER, blob_id=two, nonce=bytes(24), link=outbox.link)
    how = {"group": group, "nonce": os.urandom(24), "link": outbox.link}
    sealed = [
        (one, outbox.seal(b"sound", one, os.urandom(24))),
        (two, fork),
        (three, seal_blob(b"signed by another", device=Impostor(bytes(32)), blob_id=three, **how)),
        (four, seal_blob(b"an unknown flag", device=STRANGER, blob_id=four, flags=CHAINED | 32, **how)),
        (five, outbox.seal(b"sound again", five, os.urandom(24))),
    ]
    await in_thread(stranger_pushes, relay, group, sealed)
    payload = invites.write_payload(relay.url, group.group_id, secret, STRANGER.device_id, int(time.time()) + 600)
    async with our_device(tmp_path, relay) as ours, ours.sync.events() as events:
        await ours.sync.join_invite(invites.write_link(payload))
        assert await receive(ours, 2) == [b"sound", b"sound again"]
        told = []
        while len(told) < 2:
            event = await events.__anext__()
            if isinstance(event, HistoryFork | UndecryptableBlobs):
                told.append(type(event))
        assert told == [HistoryFork, UndecryptableBlobs]


async def test_a_small_blob_of_a_stranger_reaches_ours_inside_the_notify(tmp_path, relay):
    secret = os.urandom(32)
    group = new_group(secret, os.urandom(16))
    payload = invites.write_payload(relay.url, group.group_id, secret, STRANGER.device_id, int(time.time()) + 600)
    outbox = Outbox(group, STRANGER, b"a chain.")
    async with our_device(tmp_path, relay) as ours, ours.sync.events() as events:
        await ours.sync.join_invite(invites.write_link(payload))
        await settled(ours)
        sealed = outbox.seal(b"now", blob_id := os.urandom(16), os.urandom(24))
        await in_thread(stranger_pushes, relay, group, [(blob_id, sealed)])
        assert await receive(ours, 1) == [b"now"]
        async for event in events:
            if isinstance(event, BlobAvailable):
                assert (event.sender, event.cursor) == (STRANGER.device_id, 2)
                return
