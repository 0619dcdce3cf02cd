"""The law of a tree: what a crash may change follows from the specs, and nothing else changes.

Hypothesis grows a tree and crashes, ends and stops places in it. Before each step the specs alone say, in
`Place.ended`, which incarnations there must be afterwards.
"""

import copy
from dataclasses import dataclass, field

import trio
import trio.testing
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ferryman.actors.core.cell import bare
from ferryman.actors.core.determinism import seeded_scheduler
from ferryman.actors.core.errors import TooManyRestarts
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, Crash, Finish, Journal, Put, incarnations
from tests.fakes.guest_loop import GuestLoop

WITHIN = 10.0
RESTARTS = st.sampled_from(["permanent", "transient", "temporary"])
STRATEGIES = st.sampled_from(["one_for_one", "rest_for_one", "one_for_all"])


@dataclass(frozen=True)
class Leaf:
    restart: str


@dataclass(frozen=True)
class Branch:
    restart: str
    strategy: str
    max_restarts: int
    children: tuple


LEAVES = st.builds(Leaf, RESTARTS)


def branches(children):
    kinds = st.sampled_from(["permanent", "permanent", "transient", "temporary"])
    return st.builds(
        Branch, kinds, STRATEGIES, st.integers(0, 3), st.lists(children, min_size=1, max_size=4).map(tuple)
    )


TREES = branches(st.recursive(LEAVES, branches, max_leaves=8))


@dataclass(eq=False)
class Place:
    """What the law says of one place."""

    path: str
    spec: Leaf | Branch
    parent: "Place | None" = None
    incarnation: int = 1
    gone: bool = False
    times: list = field(default_factory=list)
    children: list = field(default_factory=list)

    def __post_init__(self):
        if isinstance(self.spec, Branch):
            base = "" if self.path == "/" else self.path
            self.children = [Place(f"{base}/{n}", spec, self) for n, spec in enumerate(self.spec.children)]

    def all(self):
        return [self, *(below for child in self.children for below in child.all())]

    def again(self):
        """It and all below it begin anew."""
        self.incarnation += 1
        self.gone = False
        self.times = []
        for child in self.children:
            child.again()

    def go(self):
        self.gone = True
        for child in self.children:
            child.go()

    def ended(self, crashed, now):
        """It ended by itself at this time. False: the whole tree did, in the end."""
        parent = self.parent
        if parent is None:
            return False
        if self.spec.restart == "temporary" or (self.spec.restart == "transient" and not crashed):
            self.go()
            return True
        parent.times = [time for time in parent.times if time >= now - WITHIN] + [now]
        if len(parent.times) > parent.spec.max_restarts:
            return parent.ended(True, now)
        for member in self.with_me():
            if member.spec.restart == "temporary":
                member.go()
            else:
                member.again()
        return True

    def with_me(self):
        siblings = self.parent.children
        match self.parent.spec.strategy:
            case "one_for_one":
                return [self]
            case "rest_for_one":
                return siblings[siblings.index(self) :]
            case _:
                return siblings


def leaves(node):
    return [leaf for child in node.children for leaf in leaves(child)] if node.kind != "actor" else [node]


class TreeLaw(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = None
        self.system = None
        self.standing = True
        self.exact = True  # the law still says which incarnations there are, not only which may change
        self.puts = 0

    @initialize(tree=TREES, seed=st.integers(0, 2**16))
    def grow(self, tree, seed):
        self.scheduler = seeded_scheduler(seed)
        self.scheduler.__enter__()
        self.clock = trio.testing.MockClock()
        self.journal = Journal()
        self.law = Place("/", tree)
        self.loop = GuestLoop(self.live, clock=self.clock)
        self.now = 0.0

    async def live(self):
        async with open_system(self.supervisor(self.law)) as self.system:
            await trio.sleep_forever()

    def supervisor(self, place):
        spec = place.spec
        children = [
            ChildSpec(
                child.path.rsplit("/", 1)[-1],
                self.worker if isinstance(child.spec, Leaf) else self.supervisor(child),
                restart=child.spec.restart,
                backoff=Backoff(base_seconds=0),
            )
            for child in place.children
        ]
        return Supervisor(children, strategy=spec.strategy, max_restarts=spec.max_restarts, within=WITHIN)

    async def worker(self, ctx):
        await self.journal.worker(ctx)

    def living(self, kind):
        return [place for place in self.law.all() if isinstance(place.spec, kind) and not place.gone]

    @precondition(lambda self: self.standing and self.exact and self.living(Leaf))
    @rule(data=st.data(), crashed=st.booleans())
    def a_leaf_ends(self, data, crashed):
        """By a message, with another message right behind it."""
        leaf = data.draw(st.sampled_from(self.living(Leaf)), label="leaf")
        self.puts += 1
        put = Put((leaf.path, self.puts))
        letters = self.system.stats.dead_letters
        ref = self.system.ref(leaf.path)
        self.loop.do(lambda: (ref.tell(Crash() if crashed else Finish()), ref.tell(put)))
        self.standing = leaf.ended(crashed, self.now)
        if self.standing:
            got = put.value in self.journal.got.get(leaf.path.rsplit("/", 1)[-1], [])
            assert got is not leaf.gone
            assert self.system.stats.dead_letters - letters == (1 if leaf.gone else 0)

    @precondition(lambda self: self.standing and self.exact and len(self.living(Branch)) > 1)
    @rule(data=st.data())
    def a_supervisor_crashes(self, data):
        branch = data.draw(st.sampled_from(self.living(Branch)[1:]), label="supervisor")
        self.loop.do(lambda: self.system.crash(branch.path, Bang()))
        self.standing = branch.ended(True, self.now)

    @precondition(lambda self: self.standing and self.exact and len(self.law.all()) > 2)
    @rule(data=st.data())
    def two_places_crash_at_once(self, data):
        """In which order they are dealt with is chance; what neither order touches is not touched."""
        living = [place for place in self.law.all()[1:] if not place.gone]
        if len(living) < 2:
            return
        pair = data.draw(st.lists(st.sampled_from(living), min_size=2, max_size=2, unique=True), label="pair")
        before = incarnations(self.system)
        may_change, may_fall = set(), False
        for order in (pair, pair[::-1]):
            law = copy.deepcopy(self.law)
            places = {place.path: place for place in law.all()}
            for path in [place.path for place in order]:
                may_fall |= not places[path].gone and not places[path].ended(True, self.now)
            may_change |= {place.path for place in law.all() if place.gone or place.incarnation != before[place.path]}
        self.loop.do(lambda: [self.system.crash(place.path, Bang()) for place in pair])
        self.exact = False
        if not may_fall:
            after = incarnations(self.system)
            assert {path for path in before if after[path] != before[path]} <= may_change

    @precondition(lambda self: not self.exact)
    @rule()
    def what_runs_is_what_the_tree_shows(self):
        living = {path for path, count in self.journal.living.items() if count}
        assert living == {place.path for place in leaves(self.system.tree()) if place.state == "running"}

    @precondition(lambda self: self.standing and self.exact)
    @rule(seconds=st.sampled_from([1.0, 6.0, 11.0]))
    def time_passes(self, seconds):
        self.loop.do(lambda: self.clock.jump(seconds))
        self.now += seconds

    @precondition(lambda self: not self.standing and self.exact)
    @rule()
    def a_fallen_tree_stays_down(self):
        assert incarnations(self.system) == {place.path: "ended" for place in self.law.all()}

    @invariant()
    def nothing_else_has_changed(self):
        if self.standing and self.exact and self.loop is not None:
            expected = {place.path: "ended" if place.gone else place.incarnation for place in self.law.all()}
            assert incarnations(self.system) == expected

    @invariant()
    def whoever_lives_lives_once(self):
        if self.loop is not None:
            assert self.journal.most_at_once <= 1
        if self.loop is not None and self.exact:
            living = {path for path, count in self.journal.living.items() if count}
            expected = {place.path for place in self.living(Leaf)} if self.standing else set()
            assert living == expected

    def teardown(self):
        if self.loop is not None:
            outcome = self.loop.close()
            self.scheduler.__exit__(None, None, None)
            error = bare(outcome.error) if hasattr(outcome, "error") else None
            if not self.exact:
                assert error is None or isinstance(error, TooManyRestarts)
            elif self.standing:
                assert error is None
            else:
                assert isinstance(error, TooManyRestarts)


TestTreeLaw = TreeLaw.TestCase
TestTreeLaw.settings = settings(stateful_step_count=20)
