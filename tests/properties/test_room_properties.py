"""Two devices, and a relay that does what it likes and has found the code besides: it is in the room, as a device.

It delivers any word to anybody, as often and in whatever order it wants, or never, and says words of its own: copied
from others, or made up. It cannot sign for another device. The people compare: they approve when both screens show the
same number, and in no other case. Hypothesis chooses what happens next.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ferryman.protocol.crypto.admission import commitment, open_admission, seal_admission
from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.machine import Decision
from ferryman.protocol.sync import room_commands as told
from ferryman.protocol.sync import room_state as it
from ferryman.protocol.sync.room_words import Admit, Challenge, Close, Join, Open
from tests.fakes.room_values import GROUP_ID, ROOM_ID, STRANGER, creator, gone, joiner
from tests.fakes.sync_values import OURS, THEIRS, number
from tests.properties.effort import examples

NONCES = st.sampled_from([b"1" * 32, b"2" * 32, b"j" * 32, b"c" * 32])


class RoomUnderAttack(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.ours, self.theirs = creator(), joiner()
        self.foreign: list[object] = []
        self.agreed: list[str] = []

    # --- what the relay does with the words of the two

    @rule(which=st.integers(0, 2), nonce=NONCES)
    def deliver_to_the_creator(self, which, nonce):
        if which < len(self.theirs.said):
            self.ours.hear(THEIRS, self.theirs.said[which], nonce)

    @rule(which=st.integers(0, 2), nonce=NONCES)
    def deliver_to_the_joiner(self, which, nonce):
        if which < len(self.ours.said):
            self.theirs.hear(OURS, self.ours.said[which], nonce)

    # --- what it says itself

    @rule(nonce=NONCES, copied=st.booleans())
    def ask_as_itself(self, nonce, copied):
        word = self.theirs.said[0] if copied else Join("phone", commitment(nonce))
        self.foreign.append(word)
        self.ours.hear(STRANGER, word)
        self.theirs.hear(STRANGER, word)

    @rule(nonce=NONCES, copied=st.booleans())
    def open_as_itself(self, nonce, copied):
        opened = [word for word in self.theirs.said if isinstance(word, Open)]
        self.ours.hear(STRANGER, opened[0] if copied and opened else Open(nonce))

    @rule(nonce=NONCES)
    def challenge_as_itself(self, nonce):
        self.theirs.hear(STRANGER, Challenge(nonce))
        self.ours.hear(STRANGER, Challenge(nonce))

    @rule(copied=st.booleans())
    def admit_as_itself(self, copied):
        made = seal_admission(b"x" * 32, b"y" * 32, room_id=ROOM_ID, joiner_id=THEIRS.device_id, seed=b"z" * 32)
        admitted = [word for word in self.ours.said if isinstance(word, Admit)]
        self.theirs.hear(STRANGER, admitted[0] if copied and admitted else Admit(made))
        self.theirs.hear(STRANGER, Close())

    # --- what people and clocks do

    @rule()
    def compare(self):
        mine, yours = self.ours.phase, self.theirs.phase
        if isinstance(mine, it.Comparing) and isinstance(yours, it.Showing) and mine.sas == yours.sas:
            self.agreed.append(mine.sas)
            assert isinstance(self.ours.approve(mine.sas), Decision)

    @rule(sas=st.sampled_from(["000-000", "123-456"]))
    def answer_an_older_question(self, sas):
        if not (isinstance(self.ours.phase, it.Comparing) and self.ours.phase.sas == sas):
            before = self.ours.state
            self.ours.approve(sas)
            assert self.ours.state == before

    @rule()
    def reach_the_relay(self):
        self.ours.settle()
        self.theirs.settle()

    @rule(mine=st.booleans())
    def run_out_of_time(self, mine):
        (self.ours if mine else self.theirs).do(told.Expire(ROOM_ID))

    @rule(mine=st.booleans())
    def think_better_of_it(self, mine):
        (self.ours if mine else self.theirs).do(told.Cancel(ROOM_ID, number(90)))

    @rule()
    def finish(self):
        self.theirs.do(told.ConfirmEntered(ROOM_ID, it.JOINED))
        gone(self.ours)
        gone(self.theirs)

    # --- what holds whatever it does

    @invariant()
    def at_most_one_device_is_admitted_and_its_people_have_agreed(self):
        admissions = [word for word in self.ours.said if isinstance(word, Admit)]
        assert len(admissions) == len(self.agreed) <= 1
        for admission in admissions:
            assert open_admission(admission.sealed, room_id=ROOM_ID, device=THEIRS)[0] == GROUP_ID
            try:
                open_admission(admission.sealed, room_id=ROOM_ID, device=STRANGER)
            except RemoteProtocolError:
                continue
            raise AssertionError("a stranger can open the admission")

    @invariant()
    def whoever_enters_was_admitted_to_this_group(self):
        phase = self.theirs.phase
        if isinstance(phase, it.Entering):
            assert self.agreed
            assert phase.group_id == GROUP_ID

    @invariant()
    def equal_numbers_are_those_of_the_two_who_compare(self):
        mine, yours = self.ours.phase, self.theirs.phase
        if isinstance(mine, it.Comparing) and isinstance(yours, it.Showing) and mine.sas == yours.sas:
            assert mine.guest.device_id == THEIRS.device_id

    @invariant()
    def nobody_is_challenged_twice(self):
        assert sum(isinstance(word, Challenge) for word in self.ours.said) <= 1


TestRoomUnderAttack = RoomUnderAttack.TestCase
TestRoomUnderAttack.settings = settings(max_examples=examples(150), stateful_step_count=25)
