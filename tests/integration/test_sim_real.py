"""`ferryman sim run --real`: the same scripts with real processes, files and sockets, and real kill -9."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ferryman.supervisors.simulation.case import Case, Spot
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.real import left_out, missed, never_reached
from ferryman.supervisors.simulation.scenario import check
from tests.fakes.child import PATIENCE_SECONDS, child
from tests.fakes.command_line import FERRYMAN

FORMAT = "ferryman.scenario/1"
PUSH = """
format = "ferryman.scenario/1"
name = "a push, and a relay that is killed"
policies = ["kill"]
[[given]]
do = "enable"
[[given]]
do = "join"
device = "b"
from = "a"
[[step]]
do = "push"
[crash]
points = ["buffer.commit", "buffer.answer", "a:ledger.reply", "b:client.page"]
"""
HANDS = """
format = "ferryman.scenario/1"
name = "cables out and in, processes that end in order, a host that loses what it had in its hands"
[[given]]
do = "enable"
[[given]]
do = "join"
device = "b"
[[step]]
do = "partition"
device = "b"
[[step]]
do = "push"
[[step]]
do = "heal"
device = "b"
[[step]]
do = "revoke-connection"
[[step]]
do = "stop-reading"
device = "b"
[[step]]
do = "go-on-reading"
device = "b"
[[step]]
do = "settle"
[[step]]
do = "shut-down"
device = "relay"
[[step]]
do = "shut-down"
device = "b"
[[step]]
do = "enqueue"
[[step]]
do = "pull"
"""
SHOP = """
import os
from dataclasses import dataclass

import trio
from ferryman import simulation as sim
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.messages import Ask
from ferryman.actors.durable_edge import Do

SOLD, COUNTED = b"sold".ljust(16), b"counted".ljust(16)

@dataclass(frozen=True)
class Sell(Ask[bool]):
    pass

@sim.recorded("test.shop.sold/1")
@dataclass(frozen=True)
class Sold(sim.Command[None]):
    pass

@sim.recorded("test.shop.count/1")
@dataclass(frozen=True)
class Count(sim.Command[int]):
    pass

class Book:
    name, initial = "book", 0

    def decide(self, state, command):
        return sim.Decision((command,), reply=state if isinstance(command, Count) else None)

    def evolve(self, state, event):
        return state + isinstance(event, Sold)

    def owed(self, state):
        return {}

@sim.program("gone")
def gone(machine):
    async def desk(ctx):
        async for env in ctx:
            os._exit(3)

    return [sim.ChildSpec("desk", desk)]

def shop(machine, hasty):
    async def desk(ctx):
        async for env in ctx:
            if hasty:
                env.reply(True)
                await trio.sleep(0.1)
            crash_point("desk.record")
            await ctx.ref("/book").ask(Do(machine.ports.ids.new_id(), Sold()))
            if not hasty:
                env.reply(True)

    async def nothing(_, debt_id, debt):
        return None

    book = sim.durable_stream(Book(), "book", machine.ports, perform=nothing, snapshot_every=0)
    return [sim.ChildSpec("book", book), sim.ChildSpec("desk", desk)]

@sim.program("careful")
def careful(machine):
    return shop(machine, False)

@sim.program("hasty")
def hasty(machine):
    return shop(machine, True)

@sim.step("sell")
class SellOne(sim.Step):
    async def run(self, world):
        sold = await world.machine("shop").do(lambda system: system.ref("/desk").ask(Sell()))
        world.note(sim.Replied("shop", SOLD, sold))
        await trio.sleep(0.2)

@sim.step("count")
class CountAll(sim.Step):
    async def run(self, world):
        await sim.ask(world, "shop", "/book", COUNTED, Count())

@sim.invariant("nothing_forgotten")
def nothing_forgotten(world):
    replies = {one.command_id: one.reply for one in world.history if isinstance(one, sim.Replied)}
    if replies.get(COUNTED, 1) < replies.get(SOLD, 0):
        yield f"1 was sold, {replies[COUNTED]} is in the book"
"""
SELLING = """
format = "ferryman.scenario/1"
name = "one is sold, and all are counted"
uses = ["shop.py"]
machines = { shop = "PROGRAM" }
policies = ["kill"]
[[step]]
do = "sell"
device = "shop"
[[step]]
do = "count"
device = "shop"
[crash]
points = ["desk.record", "ledger.reply"]
"""


def sim(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [*FERRYMAN, "sim", "run", *map(str, arguments)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def script(folder: Path, text: str) -> Path:
    path = folder / "script.toml"
    path.write_text(text)
    return path


def test_a_script_holds_on_the_simulated_disk_and_under_real_kill_9(tmp_path):
    path = script(tmp_path, PUSH)
    simulated, real = sim(tmp_path, path, "-j", 1), sim(tmp_path, path, "--real")
    assert (simulated.returncode, real.returncode) == (0, 0), simulated.stdout + real.stdout
    for line in ("relay: buffer.commit", "relay: buffer.answer", "a: ledger.reply", "b: client.page"):
        assert f"{line} " in simulated.stdout
        assert f"{line} " in real.stdout
    assert "with real processes and SIGKILL" in real.stdout


@pytest.mark.parametrize(("program", "code"), [("careful", 0), ("hasty", 1)])
def test_an_actor_that_answers_before_it_writes_is_found_by_both(tmp_path, program, code):
    (tmp_path / "shop.py").write_text(SHOP)
    path = script(tmp_path, SELLING.replace("PROGRAM", program))
    simulated, real = sim(tmp_path, path, "-j", 1), sim(tmp_path, path, "--real")
    assert (simulated.returncode, real.returncode) == (code, code), simulated.stdout + real.stdout
    for said in (simulated, real):
        assert ("nothing_forgotten: 1 was sold, 0 is in the book" in said.stdout) == bool(code)
    assert ("--case shop:desk.record#1/kill/0 --real" in real.stdout) == bool(code)


def test_a_process_that_ends_by_itself_is_a_finding(tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    done = sim(tmp_path, script(tmp_path, SELLING.replace("PROGRAM", "gone")), "--real", "--case", "-/-/0")
    assert done.returncode == 1
    assert "does not stay up: ['exit code 3']" in done.stdout


def test_two_scripts_are_done_for_real_one_after_the_other(tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text(SELLING.replace("PROGRAM", "careful"))
    second.write_text(SELLING.replace("PROGRAM", "gone"))
    done = sim(tmp_path, first, second, "--real", "--case", "-/-/0")
    assert done.returncode == 1
    assert "first.toml: -/-/0: ok" in done.stdout
    assert "second.toml: -/-/0: violated" in done.stdout
    assert "does not stay up: ['exit code 3']" in done.stdout


def test_what_actors_give_their_host_outlives_their_process(tmp_path):
    example = Path(__file__).parents[2] / "examples" / "scenarios" / "simulate_your_actor.toml"
    done = sim(tmp_path, example, "--real", "--case", "till:durable.effects#3/kill/0")
    assert done.returncode == 0, done.stdout


def test_cables_hosts_and_orderly_ends_work_for_real(tmp_path):
    done = sim(tmp_path, script(tmp_path, HANDS), "--real", "--case", "-/-/0")
    assert done.returncode == 0, done.stdout
    for row in ("relay.2 is up", "b.2 is up", " pulled 2 after 0"):
        assert row in done.stdout
    before, healed, after = done.stdout.partition("b.1 step heal")
    assert healed
    assert " got " not in before
    assert " got " in after


def test_one_case_is_done_again_with_all_its_rows(tmp_path):
    done = sim(tmp_path, script(tmp_path, PUSH), "--real", "--case", "relay:buffer.commit#1/kill/0")
    assert done.returncode == 0, done.stdout
    assert "relay.1 SIGKILL at buffer.commit" in done.stdout
    assert "relay.2 is up" in done.stdout


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("a:io#3/kill/0", "is not stopped at its 3. operation"),
        ("a:EIO#3/kill/0", "is not stopped at its 3. operation"),
        ("a:client.push#1/drop/0", "only SIGKILL: write a:client.push#1/kill/0"),
        ("a:client.push#1/kill/0~2", "only SIGKILL: write a:client.push#1/kill/0"),
    ],
)
def test_what_cannot_be_done_for_real_is_refused_in_one_line(tmp_path, case, said):
    done = sim(tmp_path, script(tmp_path, PUSH), "--real", "--case", case)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_real_clock_is_not_set(tmp_path):
    jump = 'format = "ferryman.scenario/1"\nname = "x"\n[[step]]\ndo = "jump"\nseconds = 5.0\n'
    done = sim(tmp_path, script(tmp_path, jump), "--real")
    assert done.returncode == 2
    assert "jump 5 s: the clock of a real machine is not set for a scenario: leave out --real" in done.stderr


def test_what_a_real_run_leaves_out_is_said():
    scenario = check(
        {
            "format": FORMAT,
            "name": "all of it",
            "policies": ["drop", "torn", "kill"],
            "nested": [0, 1],
            "weather": {"disk_ms": (0.0, 5.0)},
            "step": [{"do": "enqueue"}, {"do": "crash"}],
            "crash": {"points": ["*"], "every_io": True, "errors": ["EIO"]},
        }
    )
    said = list(left_out(scenario))
    assert [line.partition(":")[0] for line in said] == [
        "policies drop, torn",
        "every_io",
        "errors EIO",
        "nested",
        "weather",
        "step 2",
    ]


def test_a_script_that_can_be_done_whole_leaves_nothing_out():
    step = [{"do": "crash", "policy": "kill"}]
    assert list(left_out(check({"format": FORMAT, "name": "x", "policies": ["kill"], "step": step}))) == []


def run_at(number: int, *, reached: bool, violations: tuple[str, ...] = ()) -> Outcome:
    case = Case(0, Spot("relay", "buffer.commit", number), "kill")
    return Outcome(case, violations, "", (), reached, {})


def test_a_crash_that_never_came_is_no_pass():
    said = [missed(run).violations for run in never_reached([run_at(1, reached=False), run_at(2, reached=False)])]
    assert said == [("relay:buffer.commit#1 is never reached: the crash did not happen",)]


def test_a_line_whose_crash_came_once_is_judged_by_that():
    assert list(never_reached([run_at(1, reached=True), run_at(2, reached=False)])) == []
    assert missed(run_at(1, reached=True)).ok


def marked(mark: str) -> list[int]:
    """The processes that were started below a test, whoever their parent is by now."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                marked_so = f"FERRYMAN_TEST={mark}\0".encode() in (entry / "environ").read_bytes()
                alive = "\nState:\tZ" not in (entry / "status").read_text()
            except OSError:  # it has ended meanwhile
                continue
            if marked_so and alive:
                found.append(int(entry.name))
    return found


def wait_until(over) -> bool:
    deadline = time.monotonic() + 20
    while not over() and time.monotonic() < deadline:
        time.sleep(0.02)  # the processes are real
    return over()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found through /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_director_that_is_ended_leaves_no_process_and_no_file(tmp_path, number):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    mark = str(tmp_path)
    path = script(tmp_path, PUSH.partition("[crash]")[0] + '[[step]]\ndo = "wait"\nseconds = 60.0\n')
    environment = {**os.environ, "TMPDIR": str(temporary), "FERRYMAN_TEST": mark}
    command = [*FERRYMAN, "sim", "run", str(path), "--real"]
    with child(*command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as director:
        assert wait_until(lambda: len(marked(mark)) >= 5)  # the director, its server, and three machines
        director.send_signal(number)
        director.wait(PATIENCE_SECONDS)
        assert wait_until(lambda: marked(mark) == [])
        assert wait_until(lambda: list(temporary.iterdir()) == [])


def test_a_fork_server_is_not_started_beside_threads():
    program = """
import threading
from ferryman.supervisors.simulation.real import real_runs
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
try:
    with real_runs():
        print("started")
except RuntimeError as error:
    print(error)
stop.set()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("a fork server starts before any thread does")


def test_a_fork_server_that_has_served_one_run_waits_for_the_ends_of_the_next_one_too():
    program = """
import os
import trio.testing
from ferryman.supervisors.simulation.fork_server import fork_server

def live(channel):
    channel.read(1)  # until it is told to end
    os._exit(3)

async def run():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.watch)
        await trio.testing.wait_all_tasks_blocked()
        with server.fork() as channel:
            number = int.from_bytes(channel.recv(4))

            async def told():
                print("exit code", os.waitstatus_to_exitcode(await server.ended(number)))
                nursery.cancel_scope.cancel()

            nursery.start_soon(told)
            await trio.testing.wait_all_tasks_blocked()
            channel.send(b"x")
            await trio.sleep_forever()

with fork_server(live) as server:
    trio.run(run)
    trio.run(run)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["exit code 3", "exit code 3"], done.stderr
