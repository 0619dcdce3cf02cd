"""Each byte of our transcripts, blobs and groups twice: made by our code as before, and by a stranger's from the keys.

A vector made and checked by one program proves only that the program has not changed.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path

import pytest

from ferryman.protocol.crypto.keys import DeviceKeys, derive_group
from ferryman.protocol.crypto.sealing import blob_hash, open_blob
from tests.integration.stranger import blob as stranger_blob
from tests.integration.stranger import invite as stranger_invite
from tests.integration.stranger.keys import Device, join_group, new_group
from tests.integration.stranger.noise import SEALED_PIECE, Handshake
from tests.integration.stranger.wire import BYTES, read_frame, write_frame
from tests.tools.make_vectors import documents, pattern

FOLDER = Path(__file__).parent
TRANSCRIPTS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "transcripts").glob("*.json"))}
CONVERSATIONS = [
    pytest.param(document, each, id=f"{name}: {each['name']}")
    for name, document in TRANSCRIPTS.items()
    for each in document["conversations"]
]
BLOBS = json.loads((FOLDER / "blobs.json").read_text())
GROUPS = json.loads((FOLDER / "groups.json").read_text())
FILES = [f"transcripts/{name}.json" for name in TRANSCRIPTS] + ["groups.json", "blobs.json"]
CASES = [pytest.param(case, id=case["name"]) for case in BLOBS["cases"]]


def raw(text):
    return bytes.fromhex(text)


def same(value: bytes, written: object) -> bool:
    """Whether bytes are those of the file, which shows long ones by their length, ends and hash."""
    if isinstance(written, dict):
        ends = (value[:64].hex(), value[-64:].hex())
        whole = (len(value), hashlib.sha256(value).hexdigest())
        return whole == (written["bytes"], written["sha256"]) and ends == (written["begins"], written["ends"])
    return value.hex() == written


def fields_of(document, written):
    """A step's fields as values."""
    fields = {}
    for key, value in written.items():
        if key in ("blobs", "devices"):
            fields[key] = [fields_of(document, each) for each in value]
        elif isinstance(value, dict):
            fields[key] = pattern(document["pattern_seed"], value["bytes"])
        else:
            fields[key] = raw(value) if key in BYTES else value
    return fields


# --- what our code makes


@pytest.fixture(scope="module")
def made():
    return documents()


@pytest.mark.req("W3-13", "W10-08")
@pytest.mark.parametrize("name", FILES)
def test_this_version_makes_the_committed_bytes(made, name):
    assert settled(made[name]) == settled(json.loads((FOLDER / name).read_text()))


def test_nothing_is_committed_that_this_version_does_not_make(made):
    assert sorted(made) == sorted(FILES)


def settled(document):
    """Without what hangs on a version of zstd: any frame of the content is right, and with it other bytes follow."""
    for case in document.get("cases", ()):
        if case.get("flags", 0) & stranger_blob.COMPRESSED:
            del case["plaintext"], case["sealed"]
            if case["chain"] is not None:
                del case["chain"]["prev"]
    return document


# --- what a stranger makes of the same keys


@pytest.mark.req("W2-01", "W3-13", "W4-13")
@pytest.mark.req("S4-16", "S4-17", "S4-19")
@pytest.mark.parametrize(("document", "conversation"), CONVERSATIONS)
def test_a_stranger_makes_each_byte_of_a_conversation_from_its_keys(document, conversation):
    client, relay = conversation["client"], conversation["relay"]
    device = Device(raw(client["seed"]))
    assert (device.noise_private.hex(), device.device_id.hex()) == (client["noise_private"], client["device_id"])
    ephemerals = {side: raw(key) for side, key in conversation["ephemerals"].items()}
    initiator = Handshake(initiator=True, static=device.noise_private, ephemeral=ephemerals["client"])
    responder = Handshake(initiator=False, static=raw(relay["noise_private"]), ephemeral=ephemerals["relay"])
    for turn, message in enumerate(conversation["handshake"]):
        writer, reader = ((initiator, responder), (responder, initiator))[turn % 2]
        assert writer.write().hex() == message
        assert reader.read(raw(message)) == b""
    ends = {"client": initiator.split(), "relay": responder.split()}
    assert {end.handshake_hash.hex() for end in ends.values()} == {conversation["handshake_hash"]}
    assert ends["client"].peer.hex() == relay["relay_id"]
    for step in conversation["steps"]:
        sender, other = step["from"], {"client": "relay", "relay": "client"}[step["from"]]
        head = {key: raw(value) if key in BYTES else value for key, value in step["envelope"].items()}
        fields = fields_of(document, step["fields"])
        frame = write_frame(step["message"], fields, **head)
        assert same(frame, step["frame"])
        sealed = ends[sender].seal(frame)
        assert same(sealed, step["sealed"])
        envelope, name, read = read_frame(ends[other].open(sealed))
        assert (name, read) == (step["message"], fields)
        assert {key: envelope[key] for key in head} == head


def test_the_largest_push_is_cut_into_the_pieces_that_the_file_names():
    (conversation,) = TRANSCRIPTS["large-push"]["conversations"]
    push = conversation["steps"][2]
    sizes = [piece["bytes"] for piece in push["pieces"]]
    assert sizes[:-1] == [SEALED_PIECE] * 16
    assert sum(sizes) == push["sealed"]["bytes"] == push["frame"]["bytes"] + 17 * 16


def test_the_errors_are_all_of_the_page():
    said = [
        (each["steps"][-1]["fields"]["code"], each["closed_with"]) for each in TRANSCRIPTS["errors"]["conversations"]
    ]
    assert said == [
        (1000, 1008),
        (1001, None),
        (1002, 1008),
        (2000, None),
        (2001, None),
        (2002, None),
        (3000, None),
        (3001, 1001),
    ]


def test_the_blobs_of_the_first_sync_open_and_their_proof_is_the_groups():
    document = TRANSCRIPTS["first-sync"]
    (conversation,) = document["conversations"]
    hello, _, push, _, _, _, answer, _ = (step["fields"] for step in conversation["steps"])
    group = join_group(raw(document["secret"]), raw(conversation["group_id"]))
    assert group.proper
    assert hello["group_key"] == group.group_key.hex()
    assert hello["group_proof"] == group.prove(raw(conversation["handshake_hash"])).hex()
    anna, bert = (Device(raw(seed)).device_id for seed in document["senders"])
    for sender_id, blob, content in (
        (anna, push, b"the ferry leaves at nine"),
        (bert, answer["blobs"][0], b"and I am aboard"),
    ):
        opened = stranger_blob.open_blob(
            raw(blob["payload"]), group=group, sender_id=sender_id, blob_id=raw(blob["blob_id"])
        )
        assert opened.content == content
        assert opened.sign_pub is not None


@pytest.mark.req("S4-21", "S4-22", "S4-24")
@pytest.mark.parametrize("case", GROUPS["cases"], ids=lambda case: case["name"])
def test_a_stranger_makes_the_groups_keys_their_ids_and_proofs(case):
    group = new_group(raw(case["secret"]), raw(case["group_salt"]))
    assert group.encryption_key.hex() == case["encryption_key"]
    assert group.authentication_key.hex() == case["authentication_key"]
    assert (group.group_key.hex(), group.group_id.hex()) == (case["group_key"], case["group_id"])
    assert group.prove(raw(case["handshake_hash"])).hex() == case["group_proof"]


def test_a_passphrase_is_normalised_and_not_trimmed():
    words = unicodedata.normalize("NFKC", GROUPS["passphrase"])
    assert GROUPS["cases"][1]["secret"] == words.encode().hex()
    assert words != GROUPS["passphrase"]
    assert words != words.strip()


def seal_again(case):
    chain = case["chain"]
    link = chain and stranger_blob.Link(raw(chain["chain_id"]), chain["seq"], raw(chain["prev"]))
    packed = None
    if case["flags"] & stranger_blob.COMPRESSED:
        packed = packed_of(case)
    return stranger_blob.seal_blob(
        raw(case["content"]),
        group=join_group(raw(BLOBS["secret"]), raw(BLOBS["group_id"])),
        device=Device(raw(BLOBS["seed"])),
        blob_id=raw(case["blob_id"]),
        nonce=raw(case["nonce"]),
        link=link,
        flags=case["flags"],
        packed=packed,
    )


def packed_of(case):
    """The zstd frame in a plaintext: any frame of that content is right, so it is taken as it is."""
    flags, plain = case["flags"], raw(case["plaintext"])
    begin = 1 + 32 * bool(flags & stranger_blob.CHAINED) + 96 * bool(flags & stranger_blob.SIGNED)
    if not flags & stranger_blob.PADDED:
        return plain[begin:]
    return plain[begin + 4 : begin + 4 + int.from_bytes(plain[begin : begin + 4], "big")]


@pytest.mark.req("S4-98", "S4-99")
@pytest.mark.parametrize("case", CASES)
def test_a_stranger_seals_each_blob_to_the_byte_and_opens_it(case):
    assert seal_again(case).hex() == case["sealed"]
    opened = stranger_blob.open_blob(
        raw(case["sealed"]),
        group=join_group(raw(BLOBS["secret"]), raw(BLOBS["group_id"])),
        sender_id=raw(BLOBS["sender_id"]),
        blob_id=raw(case["blob_id"]),
    )
    assert (opened.content.hex(), opened.flags) == (case["content"], case["flags"])


@pytest.mark.parametrize("case", CASES)
def test_ours_opens_each_blob_also_those_it_never_writes(case):
    opened = open_blob(
        raw(case["sealed"]),
        keys=derive_group(raw(BLOBS["secret"]), raw(BLOBS["group_salt"])),
        sender_id=raw(BLOBS["sender_id"]),
        blob_id=raw(case["blob_id"]),
    )
    assert opened.content.hex() == case["content"]
    assert opened.control == bool(case["flags"] & stranger_blob.CONTROL)
    assert (opened.chain is not None) == bool(case["flags"] & stranger_blob.CHAINED)
    assert (opened.sign_pub is not None) == bool(case["flags"] & stranger_blob.SIGNED)


def test_our_blobs_follow_each_other():
    before: dict[str, bytes] = {}
    for case in BLOBS["cases"]:
        if case["ours"]:
            chain = case["chain"]
            assert chain["prev"] == before.get(chain["chain_id"], bytes(16)).hex()
            before[chain["chain_id"]] = blob_hash(raw(case["sealed"]))
    assert len(before) == 2


def test_a_stranger_opens_our_committed_invite():
    committed = json.loads((FOLDER / "wire.json").read_text())["invites"]
    payload = stranger_invite.open_under_code(committed["encrypted_payload"], committed["short code"])
    assert payload == stranger_invite.read_link(committed["link"])
    entries = stranger_invite.read_payload(payload)
    assert entries["c"] == DeviceKeys.from_seed(bytes(range(0xA0, 0xC0))).device_id
    assert join_group(entries["s"], entries["g"]).proper
    nonce = stranger_invite.bytes_of(committed["encrypted_payload"])[:24]
    assert stranger_invite.seal_under_code(payload, committed["short code"], nonce) == committed["encrypted_payload"]
