"""A client written from the wire's page alone, sharing no line with ours, against our relay as a process."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3

import pytest
from websocket import ABNF, create_connection

from tests.integration.stranger import invite as invites
from tests.integration.stranger.blob import Outbox, open_blob
from tests.integration.stranger.client import Closed, dial
from tests.integration.stranger.keys import Device, join_group, new_group
from tests.integration.stranger.process import running_relay
from tests.integration.stranger.wire import pack, write_frame, write_payload

ANNA, BERT, CARL = (Device(bytes([letter]) * 32) for letter in b"ABC")
SECRET = b"a secret of thirty-two bytes ..."
MIB = 1_048_576
NUMBERS = itertools.count(1)
STRICT = """
max_group_storage = 2000
max_total = 3000
[limits]
messages_per_minute = 10
"""


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    with running_relay(tmp_path_factory.mktemp("relay")) as running:
        yield running


@pytest.fixture
def group_id():
    """A bare group's ID (S4 §8.2): 32 random bytes."""
    return os.urandom(32)


@pytest.fixture
def group():
    return new_group(SECRET, os.urandom(16))


def blob_id() -> bytes:
    return next(NUMBERS).to_bytes(16, "big")


def emptied(client) -> dict:
    """The first answer without a blob: what is complete goes with one of the relay's next commits."""
    for _ in range(2000):
        if not (answer := client.pull(0))["blobs"]:
            return answer
    raise AssertionError("it never went")


# --- the journey


@pytest.mark.req("S4-100", "S4-102", "S4-113")
def test_a_first_sync_from_the_handshake_to_the_acknowledgement(relay, group_id):
    first = blob_id()
    with dial(relay.port, ANNA, pin=relay.key) as anna, dial(relay.port, BERT, path="/sync") as bert:
        welcome = anna.hello(group_id)
        assert (welcome["version"], welcome["max_cursor"], welcome["pending_count"]) == (1, 0, 0)
        bert.hello(group_id)
        pushed = anna.push(first, b"sealed")
        assert (pushed["blob_id"], pushed["cursor"]) == (first, 1)
        notified = bert.expect("NOTIFY")
        assert (notified["blob_id"], notified["cursor"], notified["size"]) == (first, 1, 6)
        assert notified["sender_id"] == ANNA.device_id
        assert "payload" not in notified
        answer = bert.pull(0)
        entry = {"blob_id": first, "cursor": 1, "sender_id": ANNA.device_id, "payload": b"sealed"}
        assert answer["blobs"] == [{**entry, "timestamp": pushed["timestamp"]}]
        assert (answer["has_more"], answer["max_cursor"]) == (False, 1)
        bert.ack(1)
        assert bert.pull(1)["blobs"] == []
    with dial(relay.port, BERT) as bert:
        assert bert.hello(group_id, 1)["pending_count"] == 0


@pytest.mark.req("S4-113", "S4-61")
def test_who_was_away_is_told_of_each_blob_oldest_first(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        sent = [anna.push(blob_id(), bytes(size))["blob_id"] for size in range(5)]
    with dial(relay.port, BERT) as bert:
        assert bert.hello(group_id)["pending_count"] == 5
        told = [bert.expect("NOTIFY") for _ in sent]
        assert [(each["blob_id"], each["cursor"], each["size"]) for each in told] == [
            (name, place + 1, place) for place, name in enumerate(sent)
        ]


def test_the_largest_blob_travels_in_pieces_both_ways(relay, group_id):
    largest = os.urandom(MIB)
    with dial(relay.port, ANNA) as anna, dial(relay.port, BERT) as bert:
        assert anna.hello(group_id)["max_blob_size"] == MIB
        bert.hello(group_id)
        assert anna.push(blob_id(), largest)["cursor"] == 1
        assert bert.expect("NOTIFY")["size"] == MIB
        assert bert.pull(0)["blobs"][0]["payload"] == largest


@pytest.mark.req("W2-10")
@pytest.mark.parametrize("size", [65_519 - 268, 65_519 - 267, 65_519 - 266, 2 * 65_519 - 268])
def test_a_frame_that_fills_its_pieces_to_the_last_byte_has_no_empty_one(relay, group_id, size):
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        one = blob_id()
        assert anna.push(one, bytes(size))["cursor"] == 1
        assert len(anna.pull(0)["blobs"][0]["payload"]) == size


@pytest.mark.req("S4-65", "S4-119", "S4-70")
def test_a_pull_of_a_hundred_and_the_rest_after_it(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        for number in range(101):
            anna.say_push(blob_id(), b"blob %d" % number)
        for number in range(101):
            assert anna.expect("PUSH_ACK")["cursor"] == number + 1
        page = anna.pull(0)
        assert [(each["cursor"], each["payload"]) for each in page["blobs"]] == [
            (number + 1, b"blob %d" % number) for number in range(100)
        ]
        assert (page["has_more"], page["max_cursor"], page["min_cursor"]) == (True, 101, 1)
        last = anna.pull(100)
        assert ([each["cursor"] for each in last["blobs"]], last["has_more"]) == ([101], False)


def test_what_does_not_fit_into_four_mebibytes_comes_with_the_next_pull(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        for _ in range(5):
            anna.push(blob_id(), bytes(MIB))
        first = anna.pull(0)
        assert (len(first["blobs"]), first["has_more"]) == (3, True)
        assert len(anna.pull(3)["blobs"]) == 2


def test_small_blobs_come_inside_the_notify_for_who_asked(relay, group_id):
    with dial(relay.port, ANNA) as anna, dial(relay.port, BERT) as bert:
        anna.hello(group_id)
        bert.hello(group_id, inline=10)
        anna.push(blob_id(), b"ten bytes.")
        anna.push(blob_id(), b"eleven byte")
        assert bert.expect("NOTIFY").get("payload") == b"ten bytes."
        assert "payload" not in bert.expect("NOTIFY")


@pytest.mark.req("S4-36", "S4-62")
def test_a_push_again_gets_its_first_cursor_again_and_other_bytes_an_error(relay, group_id):
    one = blob_id()
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        assert anna.push(one, b"bytes") == anna.push(one, b"bytes")
        anna.say_push(one, b"other bytes")
        assert anna.expect("ERROR")["code"] == 1000
        assert len(anna.pull(0)["blobs"]) == 1


@pytest.mark.req("S4-57", "S4-121")
def test_delete_waits_until_the_others_have_it_and_then_it_is_gone(relay, group_id):
    one = blob_id()
    with dial(relay.port, ANNA) as anna, dial(relay.port, BERT) as bert:
        anna.hello(group_id)
        bert.hello(group_id)
        anna.push(one, b"for bert")
        anna.send("DELETE", {"blob_id": one})
        anna.send("DELETE", {"blob_id": blob_id()})  # nobody's: no effect, no error
        assert len(anna.pull(0)["blobs"]) == 1
        bert.ack(1)
        answer = emptied(anna)
        assert (answer["max_cursor"], answer["min_cursor"]) == (1, 2)


@pytest.mark.req("W3-09", "W3-40")
@pytest.mark.req("S4-46", "S4-45", "S4-71")
def test_neither_a_clients_clock_nor_its_cursor_changes_any_order(relay, group_id):
    with dial(relay.port, ANNA) as anna, dial(relay.port, BERT) as bert:
        anna.hello(group_id)
        bert.hello(group_id)
        sent = []
        for number, clock in enumerate((2**63 - 1, 0, 1_700_000_000, 1)):
            sender = (anna, bert)[number % 2]
            fields = {"blob_id": blob_id(), "payload": b"%d" % number, "ttl": 0}
            sender.send("PUSH", fields, timestamp=clock, cursor=99 - number)
            sent.append((sender.wait_for("PUSH_ACK")["cursor"], fields["payload"]))
        assert [cursor for cursor, _ in sent] == [1, 2, 3, 4]
        assert [(each["cursor"], each["payload"]) for each in anna.pull(0)["blobs"]] == sent


def test_a_pull_acknowledges_where_it_begins_unless_it_says_otherwise(relay, group_id):
    with dial(relay.port, ANNA) as anna, dial(relay.port, BERT) as bert:
        anna.hello(group_id)
        bert.hello(group_id)
        for ack, left in ((False, 1), (None, 0)):
            anna.push(one := blob_id(), b"for bert")
            anna.send("DELETE", {"blob_id": one})
            cursor = anna.pull(0)["max_cursor"]
            bert.pull(cursor, ack=ack)
            if left:
                assert len(anna.pull(0)["blobs"]) == left
                bert.ack(cursor)
            emptied(anna)


# --- the group's proof


@pytest.mark.req("S4-55")
def test_who_proves_the_groups_key_hears_of_its_peers_and_how_they_are(relay, group):
    with dial(relay.port, ANNA) as anna, dial(relay.port, BERT) as bert:
        anna.enter(group, device_name="Anna's\n" + "ö" * 40)
        (alone,) = anna.expect("PEERS")["devices"]
        cut = "Anna's\ufffd" + "ö" * 27  # 6 + 3 + 27 * 2 bytes: the next letter would pass 64
        assert (alone["device_id"], alone["device_name"], alone["status"]) == (ANNA.device_id, cut, "online")
        bert.enter(group)
        bert.send("PRESENCE", {"status": "away"})
        peers: dict[bytes, str] = {}
        while peers.get(BERT.device_id) != "away":  # one at most in five seconds, with the latest
            peers = {each["device_id"]: each["status"] for each in anna.expect("PEERS")["devices"]}
        assert peers == {ANNA.device_id: "online", BERT.device_id: "away"}


def test_a_proof_closes_the_group_to_who_only_knows_its_id(relay, group):
    with dial(relay.port, CARL) as carl, dial(relay.port, ANNA) as anna:
        carl.hello(group.group_id)
        carl.push(blob_id(), b"from a stranger to the stranger")
        anna.enter(group)
        assert carl.expect("ERROR")["code"] == 1002
        assert carl.closed() == 1008
        assert anna.pull(0)["blobs"] == []
    with dial(relay.port, CARL) as carl:
        carl.say_hello(group.group_id)
        assert carl.expect("ERROR")["code"] == 1002
        assert carl.closed() == 1008


@pytest.mark.parametrize("wrong", ["another handshake", "another group's key", "the key alone", "the proof alone"])
def test_a_proof_that_is_none_is_unauthorized(relay, group, wrong):
    with dial(relay.port, ANNA) as anna:
        proof = group.prove(anna.noise.handshake_hash)
        match wrong:
            case "another handshake":
                fields = {"group_key": group.group_key, "group_proof": group.prove(bytes(32))}
            case "another group's key":
                other = new_group(b"another secret of 32 bytes .....", group.group_id[:16])
                fields = {"group_key": other.group_key, "group_proof": proof}
            case "the key alone":
                fields = {"group_key": group.group_key}
            case _:
                fields = {"group_proof": proof}
        anna.say_hello(group.group_id, **fields)
        assert anna.expect("ERROR")["code"] == 1002
        assert anna.closed() == 1008


# --- errors


@pytest.mark.req("S4-184")
def test_a_cursor_the_relay_never_gave_is_1001_and_the_next_hello_may_do_better(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        anna.say_hello(group_id, last_cursor=3)
        assert anna.expect("ERROR")["code"] == 1001
        assert anna.hello(group_id)["max_cursor"] == 0


@pytest.mark.req("S4-43", "S4-185")
def test_another_devices_envelope_is_1002_and_the_end(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        anna.send("PULL", {"after_cursor": 0, "limit": 0}, sender_id=BERT.device_id)
        assert anna.expect("ERROR")["code"] == 1002
        assert anna.closed() == 1008


def malformed(device: Device, group_id: bytes) -> dict[str, bytes]:
    """Frames that are valid envelopes round something that is no message."""
    payload = write_payload("PULL", {"after_cursor": 0, "limit": 0})

    def envelope(**changes):
        fields = {"version": 1, "msg_type": 0x20, "sender_id": device.device_id, "group_id": group_id, "cursor": 0}
        return pack({**fields, "timestamp": 0, "nonce": bytes(24), "payload": payload, **changes})

    return {
        "an unknown type": envelope(msg_type=0x23),
        "the relay's message": envelope(msg_type=0x11, payload=pack([blob_id(), 1, 1])),
        "a field missing": envelope(payload=pack({"after_cursor": 0})),
        "a field of another type": envelope(payload=pack({"after_cursor": "0", "limit": 0})),
        "true for a number": envelope(payload=pack({"after_cursor": True, "limit": 0})),
        "a float for a number": envelope(payload=pack({"after_cursor": 0.0, "limit": 0})),
        "a number below zero": envelope(payload=pack({"after_cursor": -1, "limit": 0})),
        "a cursor past 63 bits": envelope(payload=pack({"after_cursor": 2**63, "limit": 0})),
        "two values": envelope(payload=payload + pack(0)),
        "a key twice": envelope(payload=b"\x83" + payload[1:] + pack("limit") + pack(1)),
        "a key that is no string": envelope(payload=b"\x83" + payload[1:] + pack(1) + pack(1)),
        "nothing at all": envelope(payload=b""),
        "an acknowledgement above the last cursor": envelope(msg_type=0x22, payload=pack([1])),
        "an unknown status": envelope(msg_type=0x30, payload=pack(["asleep"])),
        "bytes for a string": envelope(msg_type=0x30, payload=pack([b"away"])),
        "a string for bytes": envelope(msg_type=0x40, payload=pack(["sixteen letters."])),
        "nil for what must be there": envelope(payload=pack([0, None])),
        "an extension type": envelope(payload=b"\x83" + payload[1:] + pack("later") + b"\xd4\x05\x00"),
        "nesting nine deep": envelope(payload=b"\x83" + payload[1:] + pack("later") + b"\x91" * 8 + b"\x00"),
        "another HELLO": envelope(msg_type=0x01, payload=pack([1, "again", group_id, 0])),
    }


@pytest.mark.parametrize("name", malformed(ANNA, bytes(32)))
def test_a_malformed_message_is_1000_and_the_third_is_the_end(relay, group_id, name):
    frame = malformed(ANNA, group_id)[name]
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        for _ in range(2):
            anna.send_frame(frame)
            assert anna.expect("ERROR")["code"] == 1000
        assert anna.pull(0)["max_cursor"] == 0
        anna.send_frame(frame)
        assert anna.expect("ERROR")["code"] == 1000
        assert anna.closed() == 1008


@pytest.mark.req("S4-41", "S4-44")
@pytest.mark.parametrize("changes", [{"version": 2}, {"group_id": bytes(31)}, {"sender_id": "str"}, {"nonce": None}])
def test_what_is_no_valid_envelope_is_1000_and_the_end(relay, group_id, changes):
    payload = write_payload("PULL", {"after_cursor": 0, "limit": 0})
    fields = {"version": 1, "msg_type": 0x20, "sender_id": ANNA.device_id, "group_id": group_id, "cursor": 0}
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        anna.send_frame(pack({**fields, "timestamp": 0, "nonce": bytes(24), "payload": payload, **changes}))
        assert anna.expect("ERROR")["code"] == 1000
        assert anna.closed() == 1008


@pytest.mark.req("W2-17")
@pytest.mark.parametrize("what", ["two values", "half a value", "a changed byte", "pieces cut elsewhere", "nothing"])
def test_what_is_not_one_frame_ends_the_connection_without_a_word(relay, group_id, what):
    frame = write_frame("PULL", {"after_cursor": 0, "limit": 0}, sender_id=ANNA.device_id, group_id=group_id)
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        match what:
            case "two values":
                anna.send_frame(frame + b"\x00")
            case "half a value":
                anna.send_frame(frame[:-1])
            case "a changed byte":
                sealed = anna.noise.seal(frame)
                anna.send_message(sealed[:-1] + bytes([sealed[-1] ^ 1]))
            case "pieces cut elsewhere":
                anna.send_message(anna.noise.seal(frame[:50]) + anna.noise.seal(frame[50:]))
            case _:
                anna.send_message(b"")
        with pytest.raises(Closed) as closed:
            anna.receive()
        assert closed.value.code == 1008


@pytest.mark.req("W1-12")
def test_a_text_message_closes_with_1003(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        anna.socket.send("text")
        assert anna.closed() == 1003


@pytest.mark.req("W1-23", "W4-29")
@pytest.mark.req("S4-58", "S4-127")
def test_a_blob_too_large_is_2001_with_its_name_and_the_connection_goes_on(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        anna.say_push(one := blob_id(), bytes(MIB + 1))
        error = anna.expect("ERROR")
        assert (error["code"], error["ref"]) == (2001, one)
        assert anna.push(blob_id(), b"")["cursor"] == 1


def test_over_a_groups_quota_over_the_relays_and_over_the_rate(tmp_path):
    group_one, group_two = os.urandom(32), os.urandom(32)
    with running_relay(tmp_path, more=STRICT) as relay:
        with dial(relay.port, ANNA) as anna:
            anna.hello(group_one)
            anna.push(blob_id(), bytes(1500))
            anna.say_push(one := blob_id(), bytes(1000))
            error = anna.expect("ERROR")
            assert (error["code"], error["ref"]) == (2002, one)
        with dial(relay.port, BERT) as bert:
            bert.hello(group_two)
            bert.say_push(one := blob_id(), bytes(1500))
            error = bert.expect("ERROR")
            assert (error["code"], error["ref"], error["retry_after_ms"] > 0) == (3000, one, True)
        with dial(relay.port, CARL) as carl:
            carl.hello(group_two)
            said = 1
            while True:
                carl.send("PULL", {"after_cursor": 0, "limit": 0})
                said += 1
                error = carl.expect("PULL_RESPONSE", "ERROR")
                if "code" in error:
                    break
            assert (error["code"], error["retry_after_ms"] > 0) == (2000, True)
            assert said > 10


@pytest.mark.req("S4-190")
def test_a_relay_that_ends_says_so_and_commits_what_it_took(tmp_path, group_id):
    with running_relay(tmp_path) as relay, dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        anna.push(one := blob_id(), b"kept")
        relay.process.terminate()
        assert anna.expect("ERROR")["code"] == 3001
        assert anna.closed() == 1001
        assert relay.process.wait(20) == 0
    with running_relay(tmp_path) as relay, dial(relay.port, ANNA) as anna:
        assert anna.hello(group_id, 1)["max_cursor"] == 1
        assert [each["blob_id"] for each in anna.pull(0)["blobs"]] == [one]


# --- connections


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(bytes(32), id="a key of small order"),
        pytest.param(b"\x09" + bytes(30) + b"\x80", id="a key in a second form"),
        pytest.param(bytes(31), id="too short"),
        pytest.param(b"\x09" + bytes(32), id="too long"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_handshake_that_begins_wrongly_gets_no_further(relay, first):
    socket = create_connection(f"ws://127.0.0.1:{relay.port}/", timeout=20)
    socket.send_binary(first)
    opcode, data = socket.recv_data()
    assert (opcode, int.from_bytes(data[:2], "big")) == (ABNF.OPCODE_CLOSE, 1008)
    socket.shutdown()


def test_before_the_welcome_there_is_room_for_a_hello_and_no_more(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        anna.say_hello(group_id, device_name="a" * 4096)
        assert anna.closed() == 1009


def test_the_fourth_hello_is_one_too_many(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        for code in (1001, 1001, 1001, 1000):
            anna.say_hello(group_id, last_cursor=7)
            assert anna.expect("ERROR")["code"] == code
        assert anna.closed() == 1008


def test_the_newer_connection_of_a_device_replaces_the_older(relay, group_id):
    with dial(relay.port, ANNA) as older, dial(relay.port, ANNA) as newer:
        older.hello(group_id)
        newer.hello(group_id)
        assert older.closed() == 4001
        assert newer.pull(0)["max_cursor"] == 0


def test_a_relay_from_a_backup_begins_another_incarnation_of_the_cursors(tmp_path, group_id):
    with running_relay(tmp_path) as relay:
        with dial(relay.port, ANNA) as anna:
            before = anna.hello(group_id)["incarnation"]
            anna.push(blob_id(), b"before the backup")
        relay.stop()
    with running_relay(tmp_path, "--restored") as relay, dial(relay.port, ANNA) as anna:
        anna.say_hello(group_id, last_cursor=1, incarnation=before)
        assert anna.expect("ERROR")["code"] == 1001
        welcome = anna.hello(group_id)
        assert welcome["incarnation"] != before
        assert welcome["max_cursor"] == 1
    with running_relay(tmp_path) as relay, dial(relay.port, ANNA) as anna:
        assert anna.hello(group_id, 1, incarnation=welcome["incarnation"])["max_cursor"] == 1


# --- other writers


@pytest.mark.req("W3-16", "W3-17")
@pytest.mark.parametrize("style", ["arrays", "integers"])
def test_other_writers_of_the_same_structs_are_understood(relay, group_id, style):
    with dial(relay.port, ANNA) as anna, dial(relay.port, BERT) as bert:
        anna.style = style
        anna.hello(group_id)
        bert.hello(group_id)
        anna.push(one := blob_id(), b"\x00\x7f\x80\xff")
        assert bert.expect("NOTIFY")["blob_id"] == one
        assert anna.pull(0)["blobs"][0]["payload"] == b"\x00\x7f\x80\xff"
        anna.send("PRESENCE", {"status": "away"})
        anna.send("DELETE", {"blob_id": one})
        bert.ack(1)
        emptied(anna)


@pytest.mark.req("W1-19")
def test_a_writer_of_integer_arrays_pushes_the_largest_blob_in_four_times_the_bytes(relay, group_id):
    with dial(relay.port, ANNA) as anna:
        anna.style = "integers"
        anna.hello(group_id)
        assert anna.push(blob_id(), b"\xff" * MIB)["cursor"] == 1


@pytest.mark.req("W3-22", "W3-23", "W3-24")
@pytest.mark.req("S4-20")
def test_fields_of_later_versions_and_wider_integers_are_read_past(relay, group_id):
    def wide(number):
        return b"\xcf" + number.to_bytes(8, "big")

    pull = b"\x83" + pack("after_cursor") + wide(0) + pack("limit") + wide(1) + pack("later") + pack({"x": [None, 1.5]})
    envelope = [1, 0x20, ANNA.device_id, group_id, 0, 0, bytes(24), pull, "an element of a later version", None]
    with dial(relay.port, ANNA) as anna:
        anna.hello(group_id)
        anna.push(blob_id(), b"one")
        anna.push(blob_id(), b"two")
        anna.send_frame(pack(envelope))
        assert [each["payload"] for each in anna.expect("PULL_RESPONSE")["blobs"]] == [b"one"]


# --- invites


@pytest.mark.req("S4-146", "S4-149", "S4-150")
def test_an_invite_waits_for_one_claim_or_for_its_maker_to_take_it_back(relay):
    code = invites.write_code(b"\x00\x10\x84" + os.urandom(7))  # begins with 0, 1 and 2
    status, _, left = invites.leave(relay.port, code, "sealed")
    assert (status, sorted(left)) == (201, ["expires_at", "revoke_token"])
    assert invites.leave(relay.port, code, "another")[0] == 409
    status, headers, found = invites.claim(relay.port, as_people_type(code))
    assert (status, found, headers["cache-control"]) == (200, {"encrypted_payload": "sealed"}, "no-store")
    assert invites.claim(relay.port, code)[0] == 404

    _, _, left = invites.leave(relay.port, code, "sealed again")
    path, bearer = f"/invite/{invites.lookup_key(code)}", f"Bearer {left['revoke_token']}"
    assert invites.ask(relay.port, "DELETE", path, Authorization="Bearer of nothing")[0] == 404
    assert invites.ask(relay.port, "DELETE", path, Authorization=bearer)[0] == 204
    assert invites.claim(relay.port, code)[0] == 404


def as_people_type(code):
    return code.lower().replace("0", "o").replace("1", "l")


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("HEAD", "/invite/ABCDEFGH", None, {}, 405),
        ("GET", "/invite/TOOSHRT", None, {}, 404),
        ("POST", "/invite", {"lookup_key": "ABCDEFGH"}, {}, 400),
        ("POST", "/invite", {"lookup_key": "ABCDEFGU", "encrypted_payload": ""}, {}, 400),
        ("POST", "/invite", {"lookup_key": "ABCDEFGH", "encrypted_payload": "a" * 4097}, {}, 413),
        ("POST", "/invite", {"lookup_key": "ABCDEFGH", "encrypted_payload": "a" * 9000}, {}, 413),
        ("POST", "/invite", {}, {"Content_Type": "text/plain"}, 415),
    ],
)
def test_what_is_no_request_for_an_invite_is_told_so(relay, method, path, body, headers, status):
    assert invites.ask(relay.port, method, path, body, **headers)[0] == status


@pytest.mark.req("S4-130")
def test_the_relay_says_how_it_is(relay):
    status, _, health = invites.ask(relay.port, "GET", "/health")
    wanted = {"status", "version", "connections", "groups", "blobs_buffered", "uptime_seconds"}
    assert (status, health["status"], set(health)) == (200, "ok", wanted)


# --- what the relay cannot see


@pytest.mark.req("S4-14", "S4-34")
def test_sealed_blobs_pass_and_neither_the_wire_nor_the_relays_disk_shows_what_is_in_them(tmp_path, group):
    secret = b"the treasure lies under the third plank"
    outbox = Outbox(group, ANNA, b"chain  1")
    with running_relay(tmp_path) as relay:
        with dial(relay.port, ANNA) as anna, dial(relay.port, BERT) as bert:
            anna.enter(group)
            bert.enter(group)
            sealed = outbox.seal(secret, one := blob_id(), os.urandom(24))
            frame = write_frame(
                "PUSH",
                {"blob_id": one, "payload": sealed, "ttl": 0},
                sender_id=ANNA.device_id,
                group_id=group.group_id,
                nonce=sealed[5:29],
            )
            message = anna.noise.seal(frame)
            assert sealed in frame  # the envelope carries the sealed blob, and Noise hides both
            assert sealed not in message
            anna.send_message(message)
            anna.wait_for("PUSH_ACK")
            (entry,) = bert.pull(0)["blobs"]
            opened = open_blob(
                entry["payload"],
                group=join_group(SECRET, group.group_id),
                sender_id=entry["sender_id"],
                blob_id=entry["blob_id"],
            )
            assert opened.content == secret
        relay.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "relay.db")) as database:
        assert database.execute("SELECT payload FROM blobs").fetchall() == [(sealed,)]
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert sealed in everything
    assert [part for part in (secret, SECRET, group.encryption_key) if part in everything] == []
