"""The ledger against a model that is two dictionaries: whatever is appended, crashed, compacted and started again.

Every answer is the one that the law gives, every replay gives the events in order, and every file that a start finds is
sound.
"""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from ferryman.actors.ledger_compact import compact
from ferryman.actors.ledger_open import open_ledger
from ferryman.actors.simulated.inode import POLICIES
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.ledger.record import Appended, CommandMismatch, Conflict, Repeated, TakeSnapshot
from ferryman.protocol.machine import Row
from tests.fakes.ledger_world import TABLE, Kept, LedgerWorld, Put, put_entry

STREAMS = ("a", "b", "c")
VALUES = st.sampled_from([b"", b"small", bytes(5_000), bytes(range(256)) * 20])


class LedgerLaw(RuleBasedStateMachine):
    commands = Bundle("commands")

    @initialize()
    def start(self):
        self.world = LedgerWorld()
        self.ledger = self.open()
        self.seq = 0
        self.versions = dict.fromkeys(STREAMS, 0)
        self.events = {stream: [] for stream in STREAMS}  # those since the last snapshot, after its state
        self.known = {}  # (stream, number): (seq, version, hash, reply)
        self.paired = set()
        self.fence = 0

    def open(self):
        return open_ledger(self.world.place, self.world.now, tables=(TABLE,), wal_bytes=0)

    @property
    def store(self):
        return self.ledger.store

    def commit(self, *entries):
        self.store.begin()
        answers = [self.store.stage(entry, self.world.now) for entry in entries]
        self.store.commit()
        return answers[0]

    # --- appending

    @rule(
        target=commands,
        stream=st.sampled_from(STREAMS),
        value=VALUES,
        ahead=st.sampled_from([0, 0, 0, 0, 1, -1]),
        device=st.none() | st.integers(0, 3),
        token=st.none() | st.integers(0, 5),
    )
    def append(self, stream, value, ahead, device, token):
        number = len(self.known) + self.seq * 100 + 1
        event = Put(f"key-{number}", value, Secret(value[:9]) if number % 2 else None)
        rows = () if device is None else (Row("INSERT INTO pairing VALUES (?, 'x')", (f"device-{device}",)),)
        expected = self.versions[stream] + ahead
        entry = put_entry(
            stream,
            expected,
            number,
            events=(event,),
            rows=rows,
            reply=value,
            fence=None if token is None else ("lease", token),
        )
        answer = self.commit(entry)
        if ahead:
            assert answer == Conflict("version")
        elif token is not None and token < self.fence:
            assert answer == Conflict("fence")
        elif device in self.paired:
            assert answer == Conflict("pairing.device_id")
        else:
            self.seq += 1
            self.versions[stream] += 1
            assert answer == Appended(self.seq, self.versions[stream])
            self.known[stream, number] = (self.seq, self.versions[stream], entry.command_hash, value)
            self.events[stream].append(event)
            self.paired |= {device} - {None}
            self.fence = max(self.fence, token or 0)
        return stream, number

    @rule(command=commands, mismatch=st.booleans())
    def repeat(self, command, mismatch):
        if command not in self.known:
            return
        stream, number = command
        seq, version, command_hash, reply = self.known[command]
        entry = put_entry(stream, 0, number, command_hash=b"\xee" * 32 if mismatch else command_hash)
        wanted = CommandMismatch(stream, entry.command_id) if mismatch else Repeated(seq, version, reply)
        assert self.commit(entry) == wanted

    @rule(stream=st.sampled_from(STREAMS))
    def snapshot(self, stream):
        if not self.versions[stream]:
            return
        state = Kept({event.key: event.value for event in self.flat(stream)})
        self.seq += 1
        self.versions[stream] += 1
        assert self.commit(TakeSnapshot(stream, self.versions[stream] - 1, state)) == Appended(
            self.seq, self.versions[stream]
        )
        self.events[stream] = [state]

    def flat(self, stream):
        return [event for event in self.events[stream] if isinstance(event, Put)]

    # --- ending and starting

    @rule()
    def restart(self):
        self.ledger.close(clean=True)
        self.ledger = self.open()

    @rule(policy=st.sampled_from(POLICIES), seed=st.integers(0, 99))
    def power_cut(self, policy, seed):
        self.world.disk = self.world.disk.after_power_cut(policy, random.Random(seed))
        self.ledger = self.open()

    @rule()
    def kill_and_then_power_cut(self):
        self.world.disk = self.world.disk.after_kill()
        self.ledger = self.open()
        self.power_cut("drop", 0)

    @precondition(lambda self: self.seq)
    @rule()
    def compact(self):
        done = compact(self.world.place, self.ledger, self.world.now)
        self.ledger.close(clean=True)
        self.ledger = self.open()
        if done is None:
            return
        self.versions = {stream: self.store.version(stream) for stream in STREAMS}
        self.seq = self.store.head.seq

    # --- what holds at every moment

    @invariant()
    def every_replay_gives_what_was_recorded(self):
        for stream in STREAMS:
            records = self.world.replay(self.store, stream)
            assert [event for record in records for event in record.events] == self.events[stream]
            answers = {(stream, int.from_bytes(r.command_id, "big")): r for r in records}
            for command, (seq, version, command_hash, reply) in self.known.items():
                if command[0] == stream:
                    found = answers[command]
                    assert (found.seq, found.version, found.command_hash, found.reply) == (
                        seq,
                        version,
                        command_hash,
                        reply,
                    )

    def teardown(self):
        if hasattr(self, "ledger"):
            self.ledger.close(clean=True)
            self.world.check()


TestLedgerLaw = LedgerLaw.TestCase
TestLedgerLaw.settings = settings(stateful_step_count=15)
