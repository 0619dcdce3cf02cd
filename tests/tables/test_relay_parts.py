"""The relay's small parts, a table each: fair turns, rates, sources, the send queue, lanes of WebSocket frames."""

import pytest
import trio

from ferryman.actors.rate_limiter import Rate, Settle, Spend, Verdict, rate_limiter
from ferryman.actors.relay.buffer_messages import Open, StoreAll
from ferryman.actors.relay.cursor_allocator import Propose, check_cursors, cursor_allocator
from ferryman.actors.relay.deliveries import KEPT_ROWS, Deliveries
from ferryman.actors.relay.fair_queue import BATCH_BYTES, BATCH_JOBS, TURN_JOBS, FairQueue
from ferryman.actors.relay.frames import FrameWriter
from ferryman.actors.relay.lane import Drained, Lane
from ferryman.actors.relay.metrics import Histogram, Metrics, kind_of
from ferryman.actors.relay.records import GroupRecord, Refused, Repeated, Stored
from ferryman.actors.relay.records import Push as RelayPush
from ferryman.actors.relay.seats import Outgoing, Seat, Seats
from ferryman.actors.relay.sources import Visitors, client_of, source_of
from ferryman.actors.relay.transaction import Delivered, StorageFull
from ferryman.actors.relay.websocket import accept
from ferryman.actors.simulated.ports import SeededEntropy, VirtualClock
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.relay.errors import CloseCode, Refusal, WireCode
from ferryman.protocol.relay.group import Group
from ferryman.protocol.relay.messages import Ack, Pull, Push
from ferryman.supervisors.relay_tables import networks
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system

# fair turns


def filled(*groups):
    """Groups of (jobs, bytes each)."""
    queue = FairQueue()
    for name, (jobs, size) in enumerate(groups):
        for number in range(jobs):
            queue.add(b"%d" % name, number, size)
    return queue


def counts(batch):
    groups = [group for group, _ in batch]
    return {group.decode(): groups.count(group) for group in dict.fromkeys(groups)}


def test_each_group_gets_its_turn_and_a_batch_has_its_size():
    queue = filled((1000, 10), (1000, 10), (3, 10))
    assert counts(queue.take()) == {"0": TURN_JOBS, "1": TURN_JOBS, "2": 3}
    assert counts(queue.take()) == {"0": TURN_JOBS, "1": TURN_JOBS}
    queue = filled(*[(100, 10)] * 10)
    assert sum(counts(queue.take()).values()) == BATCH_JOBS
    assert list(counts(queue.take())) == ["4", "5", "0", "1"]  # who has not had a turn comes first, with half a batch


def test_a_group_for_which_nothing_waited_comes_before_the_line_of_those_that_pile_up():
    queue = filled(*[(100, 10)] * 4)
    queue.take()
    queue.add(b"quiet", 0, 10)
    assert next(iter(counts(queue.take()))) == "quiet"
    queue.add(b"quiet", 1, 10)
    assert next(iter(counts(queue.take()))) == "quiet"


def test_a_batch_of_large_jobs_is_cut_by_bytes_and_has_one_at_least():
    queue = filled((10, BATCH_BYTES // 2), (10, BATCH_BYTES // 2))
    assert len(queue.take()) == 2
    queue = filled((2, BATCH_BYTES * 3))
    assert [job for _, job in queue.take()] == [0]
    assert [job for _, job in queue.take()] == [1]
    assert queue.take() == []


@pytest.mark.parametrize("size", [1, BATCH_BYTES // 2, BATCH_BYTES, 20 * BATCH_BYTES])
def test_new_groups_with_large_blobs_at_every_commit_do_not_keep_the_line_from_being_served(size):
    groups = BATCH_JOBS // TURN_JOBS
    queue = filled(*[(TURN_JOBS + 1, 10)] * groups)
    line = set(counts(queue.take()))
    assert len(line) == queue.jobs == groups  # all of them stand in line, with one job each
    for commit in range(groups):
        for newcomer in range(3):
            queue.add(b"new %d %d" % (commit, newcomer), 0, size)
        batch = queue.take()
        assert batch[0][0].startswith(b"new")
        line -= set(counts(batch))
        assert len(line) <= groups - 1 - commit
    assert not line


def test_the_line_does_not_keep_new_groups_from_being_served_either():
    queue = filled((100, BATCH_BYTES))
    queue.take()
    newcomers = [b"new %d" % number for number in range(8)]
    for newcomer in newcomers:
        queue.add(newcomer, 0, BATCH_BYTES)
    assert [queue.take()[0][0] for _ in newcomers] == newcomers


def test_the_order_within_a_group_stays_and_what_waits_is_counted():
    queue = filled((100, 7))
    jobs = []
    while queue.jobs:
        assert queue.bytes == 7 * queue.jobs
        jobs += [job for _, job in queue.take()]
    assert jobs == list(range(100))
    assert queue.bytes == 0


# deliveries


@pytest.mark.parametrize("page", [1, 1000])
def test_deliveries_that_wait_for_a_commit_are_bounded_by_their_rows_and_left_out_above(page):
    deliveries = Deliveries()
    for _ in range(KEPT_ROWS + 2):
        deliveries.note(Delivered(b"g" * 32, b"d" * 32, (b"i" * 16,) * page))
    deliveries.note(Delivered(b"g" * 32, b"d" * 32, ()))
    assert KEPT_ROWS <= sum(len(job.blob_ids) for _, job in deliveries.take()) < KEPT_ROWS + page
    assert deliveries.take() == []
    deliveries.note(Delivered(b"g" * 32, b"d" * 32, (b"i" * 16,)))
    assert len(deliveries.take()) == 1


# rates


async def test_the_limiter_counts_each_bucket_and_key_apart(autojump_clock):
    rates = {"a": Rate(2, 60), "b": Rate(1, 60)}
    async with open_system(Supervisor([ChildSpec("limiter", rate_limiter(rates))])) as system:
        ask = system.ref("/limiter").ask
        assert [(await ask(Spend("a", "x"))).allowed for _ in range(3)] == [True, True, False]
        assert (await ask(Spend("a", "y"))).allowed
        assert (await ask(Spend("b", "x"))).allowed
        refused = await ask(Spend("a", "x"))
        assert refused == Verdict(False, 30_000)
        await trio.sleep(30)
        assert (await ask(Spend("a", "x"))).allowed


async def test_what_has_happened_already_becomes_a_debt_of_one_period_at_most(autojump_clock):
    async with open_system(Supervisor([ChildSpec("limiter", rate_limiter({"a": Rate(60, 60)}))])) as system:
        ask = system.ref("/limiter").ask
        assert await ask(Settle("a", "x", 60)) == Verdict(True, 0)
        assert await ask(Settle("a", "x", 10)) == Verdict(False, 10_000)
        assert await ask(Settle("a", "x", 10**9)) == Verdict(False, 60_000)
        await trio.sleep(61)
        assert (await ask(Settle("a", "x", 1))).allowed


async def test_a_limiter_that_crashed_has_forgotten_what_was_spent(autojump_clock):
    async with open_system(Supervisor([ChildSpec("limiter", rate_limiter({"a": Rate(1, 60)}))])) as system:
        ask = system.ref("/limiter").ask
        await ask(Spend("a", "x"))
        system.crash("/limiter", Exception("planned by the test"))
        assert (await ask(Spend("a", "x"))).allowed


# sources

PROXIES = networks(("10.0.0.0/8", "fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("203.0.113.1", "198.51.100.1", "203.0.113.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, not an address", "unknown behind 10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
    ],
)
@pytest.mark.req("W5-115", "W5-116")
def test_a_proxy_is_believed_and_nobody_else(peer, said, client):
    assert client_of(peer, ((b"x-forwarded-for", said.encode()),) if said else (), PROXIES) == client


@pytest.mark.parametrize(
    ("client", "source"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", "nonsense"),
    ],
)
@pytest.mark.req("W5-114")
def test_limits_count_ipv4_addresses_and_ipv6_networks(client, source):
    assert source_of(client) == source


async def test_a_visitor_is_counted_out_once():
    visitors = Visitors()
    first, second = visitors.enter("a"), visitors.enter("a")
    first()
    first()
    assert (visitors.of("a"), visitors.total) == (1, 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(visitors.all_gone)
        await trio.testing.wait_all_tasks_blocked()
        second()
    assert (visitors.of("a"), visitors.total) == (0, 0)


# the send queue


class NoConnection:
    def __init__(self):
        self.woken = 0

    def tell(self, _):
        self.woken += 1
        return True


def seat(group=b"g" * 32, device=b"d" * 32):
    frames = FrameWriter(b"r" * 32, VirtualClock(), SeededEntropy(1))
    return Seat(NoConnection(), Outgoing(), frames, Metrics(), "198.51.100.1", group, device)


@pytest.mark.parametrize(("frames", "size"), [(2000, 1), (8, 1024 * 1024)], ids=["2,000 frames", "8 MiB"])
@pytest.mark.req("W5-81")
async def test_a_queue_that_is_full_is_the_end_of_its_connection(frames, size):
    outgoing = Outgoing()
    for _ in range(frames):
        outgoing.put(bytes(size))
    assert (outgoing.closing, len(outgoing)) == (None, frames)
    outgoing.put(b"x")
    assert outgoing.closing is not None
    assert outgoing.closing.code == CloseCode.POLICY
    assert (len(outgoing), outgoing.queued_bytes) == (0, 0)


async def test_frames_leave_in_order_and_nothing_is_taken_after_the_close():
    outgoing = Outgoing()
    for number in range(10):
        outgoing.put(b"%d" % number * 100)
    outgoing.close(CloseCode.NORMAL, "")
    outgoing.put(b"late")
    taken = []
    while batch := outgoing.take(250):
        assert len(batch) <= 3
        taken += batch
    assert taken == [b"%d" % number * 100 for number in range(10)]
    assert outgoing.queued_bytes == 0


@pytest.mark.req("W5-94")
async def test_closing_leaves_two_seconds_to_what_is_being_sent(autojump_clock):
    outgoing = Outgoing()
    started = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def send():
            with outgoing.sending() as scope:
                await trio.sleep(3600)
            assert scope.cancelled_caught

        nursery.start_soon(send)
        await trio.sleep(5)
        outgoing.close(CloseCode.POLICY, "")
        outgoing.close(CloseCode.NORMAL, "the first word counts")
    assert trio.current_time() - started == 7
    assert outgoing.closing.code == CloseCode.POLICY


async def test_a_seat_wakes_its_connection_once_until_it_has_looked():
    one = seat()
    for _ in range(5):
        one.send(b"frame")
    assert one.connection.woken == 1
    one.woken = False
    one.send(b"frame")
    assert one.connection.woken == 2


async def test_an_error_that_closes_is_the_last_frame():
    one = seat()
    one.welcome = True
    one.refuse(Refusal(WireCode.RATE_LIMITED, ""))
    assert one.outgoing.closing is None
    one.refuse(Refusal(WireCode.UNAUTHORIZED, ""))
    assert one.outgoing.closing is not None
    assert len(one.outgoing) == 2


async def test_the_third_1000_of_a_welcome_connection_closes_and_the_first_of_another():
    one = seat()
    one.welcome = True
    closed = []
    for _ in range(3):
        one.refuse(Refusal(WireCode.INVALID_MESSAGE, ""))
        closed.append(one.outgoing.closing is not None)
    assert closed == [False, False, True]
    stranger = seat()
    stranger.refuse(Refusal(WireCode.INVALID_MESSAGE, ""))
    assert stranger.outgoing.closing is not None


@pytest.mark.req("W5-124")
def test_what_a_message_costs():
    one = seat()
    assert one.price(Push(b"i" * 16, b"", 0), 0.0) == 1
    assert [one.price(Ack(1), at) for at in (0.0, 0.5, 1.0, 1.9)] == [0, 1, 0, 1]
    assert one.price(Pull(0, 0), 0.0) == 1
    one.more = True
    assert [one.price(Pull(0, 0), 0.0) for _ in range(2)] == [0, 1]


def test_a_device_has_one_seat_and_the_later_one_counts():
    seats = Seats()
    first, second = seat(), seat()
    assert seats.take(first) is None
    assert seats.take(second) is first
    assert not seats.give_up(first)
    assert list(seats.of(b"g" * 32).values()) == [second]
    assert seats.give_up(second)
    assert seats.of(b"g" * 32) == {}
    assert seats.count() == 0


def test_who_waits_for_an_answer_is_answered_once():
    seats = Seats()
    one = seat()
    seats.wait(one)
    assert list(seats.waiting(b"g" * 32)) == [one]
    assert seats.answered(one)
    assert not seats.answered(one)


# WebSocket frames

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
BINARY, TEXT, CONT, CLOSE = 2, 1, 0, 8


def opened():
    websocket, answer = accept(HANDSHAKE, max_message=4096)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Extensions" not in answer
    return websocket


def frame(opcode, payload, *, fin=True):
    """Masked with zeros."""
    return bytes([(0x80 if fin else 0) | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def test_whole_messages_come_out_of_frames_and_pieces():
    websocket = opened()
    data = frame(BINARY, b"a") + frame(BINARY, b"b", fin=False) + frame(CONT, b"", fin=False) + frame(CONT, b"c")
    assert websocket.feed(data) == [b"a", b"bc"]
    assert not websocket.closing
    assert [message for byte in data for message in opened_feed(websocket, byte)] == [b"a", b"bc"]


def opened_feed(websocket, byte):
    return websocket.feed(bytes([byte]))


ENDED = {
    "text": pytest.param(frame(TEXT, b"hello"), 1003, marks=pytest.mark.req("W1-12")),
    "a piece of text": (frame(TEXT, b"h", fin=False), 1003),
    "pieces without an end": (frame(BINARY, b"", fin=False) + frame(CONT, b"", fin=False) * 4096, 1008),
    "too much in pieces": pytest.param(
        frame(BINARY, bytes(100), fin=False) + frame(CONT, bytes(100), fin=False) * 40,
        1009,
        marks=pytest.mark.req("W1-20"),
    ),
}


@pytest.mark.parametrize(("data", "code"), ENDED.values(), ids=ENDED)
@pytest.mark.req("W5-89")
def test_a_violation_ends_the_websocket_and_nothing_after_it_is_read(data, code):
    websocket = opened()
    assert websocket.feed(data) == []
    assert websocket.closing
    assert websocket.feed(frame(CONT, b"after") + frame(BINARY, b"after")) == []
    assert websocket.output()[:4] == b"\x88" + websocket_close(code, websocket)


def websocket_close(code, websocket):
    reason = websocket._protocol.close_sent.reason.encode()
    return bytes([2 + len(reason)]) + code.to_bytes(2, "big")


HEADS = {0: "8200", 125: "827d", 126: "827e007e", 65_535: "827effff", 65_536: "827f0000000000010000"}  # RFC 6455 §5.2


@pytest.mark.parametrize(("size", "head"), HEADS.items())
def test_a_message_of_ours_is_one_frame_without_a_mask(size, head):
    websocket = opened()
    websocket.send(bytes(size))
    assert websocket.output() == bytes.fromhex(head) + bytes(size)


def test_a_close_of_the_peer_is_echoed():
    websocket = opened()
    assert websocket.feed(frame(CLOSE, b"\x03\xe8")) == []
    assert websocket.closed_by_peer
    assert websocket.output() == b"\x88\x02\x03\xe8"


# cursors


def stored(cursor):
    return Stored(RelayPush(seat(), b"i" * 16, b"d" * 32, b"", 0, 0.0), cursor, 0)


def test_the_allocator_follows_cursors_that_rise_by_one():
    again = Repeated(stored(1).push, 1, 0)
    assert check_cursors(4, (stored(5), again, stored(6))) == 6


@pytest.mark.parametrize("cursors", [(4,), (5, 5), (6,), (5, 7)], ids=["old", "twice", "passed over", "a gap"])
@pytest.mark.req("W5-40")
def test_a_cursor_given_twice_or_passed_over_stops_the_group(cursors):
    with pytest.raises(LocalProtocolError):
        check_cursors(4, tuple(stored(cursor) for cursor in cursors))


# figures


def test_a_histogram_counts_up_to_each_bound():
    histogram = Histogram()
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        histogram.observe(seconds)
    lines = list(histogram.lines("x"))
    assert lines[0] == 'x_bucket{le="0.001"} 2'
    assert lines[-4] == 'x_bucket{le="2.5"} 3'
    assert lines[-3:] == ['x_bucket{le="+Inf"} 4', "x_sum 99.301500", "x_count 4"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/buffer", "buffer"),
        ("/infrastructure/rate_limiter", "rate_limiter"),
        ("/groups/0123abcd", "group"),
        ("/groups/0123abcd/group_router", "group_router"),
        ("/connections/17", "connection"),
    ],
)
@pytest.mark.req("W8-10")
def test_an_actors_kind_names_no_instance(path, kind):
    assert kind_of(path) == kind


async def test_a_group_that_shuts_down_on_a_full_disk_has_everything_settled_all_the_same(autojump_clock):
    pushed = stored(1).push

    async def full(ctx):
        async for env in ctx:
            match env.msg:
                case Open(group_id=group_id):
                    opened_groups.append(group_id)
                    if len(opened_groups) == 2:
                        env.fail(StorageFull("the disk is full"))
                    else:
                        env.reply(GroupRecord(Group(group_id, b"i" * 16), stored=True))
                case StoreAll(lane=lane):
                    lane.put((Refused(pushed, refusal),))

    async def router(ctx):
        answers = Lane(ctx.self_ref)
        ctx.ref("/cursor_allocator").tell(Propose((pushed,), answers, last=True))
        async for _ in ctx:
            settled.extend(answers.drain())
            if Drained() in settled:
                done.set()

    opened_groups, settled, done = [], [], trio.Event()
    refusal = Refusal(WireCode.RELAY_OVERLOADED, "the disk is full")
    actors = [
        ChildSpec("buffer", full),
        ChildSpec("cursor_allocator", cursor_allocator(b"g" * 32)),
        ChildSpec("router", router),
    ]
    async with open_system(Supervisor(actors)):
        with trio.move_on_after(10):
            await done.wait()
        assert settled == [(Refused(pushed, refusal),), Drained()]
