"""The forks that run planted bugs: a copy of the tree for each worker, a child of the warm parent for each bug.

    parent (pytest and libraries loaded, the project not)
      +-- child: plants the bug in its worker's copy, imports the project from there, runs the named test
      +-- child: the same in the other copy

What could make a verdict wrong, and what is done about it:

| danger                                          | answer                                                             |
|-------------------------------------------------|--------------------------------------------------------------------|
| the project is imported from elsewhere          | the child asks `ferryman` where it came from                       |
| bytecode of the unmutated file is loaded        | that file's bytecode is removed, children with a bug write none    |
| hypothesis replays what another bug taught it   | profile `mutants`: no database, the same examples every time       |
| an assert of the product counts as a test's     | the project's frame nearest to the raise must be one of tests/     |
| a test that starts processes leaves them behind | a child leads a process group, which is killed at its end          |
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from _pytest.outcomes import Failed

CAUGHT, SURVIVED, CRASHED, TIMEOUT, UNSOUND = "caught", "survived", "crashed", "timeout", "unsound"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".hypothesis", ".pytest_cache", ".ruff_cache", "site", "dist", "build"
)
LIBRARIES = (  # what most tests need; loaded once, shared by every child. None may know the project or start a thread.
    "hypothesis.stateful", "pytest_trio", "trio.testing", "pydantic", "msgspec", "msgpack", "nacl.bindings", "rfc8785",
    "noise.connection", "argon2.low_level", "apsw", "h11", "websockets.server", "trio_websocket", "cyclopts",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One child's work: the tests (a line each), and the bug to plant first, if any."""

    name: str
    tests: str
    seconds: float
    file: str = ""
    find: str = ""
    replace: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    name: str
    outcome: str
    seconds: float
    output: str


@dataclasses.dataclass(slots=True)
class Running:
    job: Job
    copy: Path
    started: float


def warm_up() -> None:
    for name in LIBRARIES:
        try:
            import_module(name)
        except ImportError:
            continue  # the child that needs it will say so


def copy_tree(root: Path, target: Path) -> Path:
    shutil.copytree(root, target, symlinks=True, ignore=LEFT_OUT)
    return target.resolve()


def run_jobs(
    copies: list[Path],
    jobs: list[Job],
    *,
    stop_at: float | None = None,
    progress: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """One child a copy at a time. No job is started after `stop_at` (monotonic seconds)."""
    waiting = list(reversed(jobs))
    idle = list(copies)
    running: dict[int, Running] = {}
    results: list[Result] = []
    while waiting or running:
        if stop_at is not None and time.monotonic() > stop_at:
            waiting.clear()
        while idle and waiting:
            job, copy = waiting.pop(), idle.pop()
            running[start(job, copy)] = Running(job, copy, time.monotonic())
        for pid, one in list(running.items()):
            ended = os.waitpid(pid, os.WNOHANG)[0] == pid
            if not ended and time.monotonic() - one.started < one.job.seconds:
                continue
            kill_group(pid)
            if not ended:
                os.waitpid(pid, 0)
            del running[pid]
            idle.append(one.copy)
            results.append(judge(one, timed_out=not ended))
            progress(results[-1])
        time.sleep(0.005)
    return results


def start(job: Job, copy: Path) -> int:
    verdict_of(copy).unlink(missing_ok=True)
    plant(job, copy)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        code = run_in_child(job, copy)
    except BaseException:  # the parent's stack must not go on in a child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def run_in_child(job: Job, copy: Path) -> int:
    log = os.open(log_of(copy), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    elsewhere = ("", str(Path.cwd()), *os.environ.get("PYTHONPATH", "").split(os.pathsep))
    os.chdir(copy)
    # Bytecode of tests with rewritten asserts is worth keeping; of a mutated file it would be poison for the next.
    sys.dont_write_bytecode = bool(job.file)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTHONPATH"] = str(copy / "src")  # for the processes that a test starts
    sys.path[:] = [str(copy / "src"), *(entry for entry in sys.path if entry not in elsewhere)]
    forget("tests", "ferryman")
    witness = Witness(copy)
    arguments = ["--rootdir", str(copy), "-c", str(copy / "pyproject.toml"), "--basetemp", str(copy) + ".tmp"]
    arguments += ["-p", "no:cacheprovider", "--tb=short"]
    # The warm parent has them loaded; their asserts are not ours, so nothing is lost.
    arguments += ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
    if (copy / "tests" / "conftest.py").exists():
        arguments.append("--hypothesis-profile=mutants")
    code = pytest.main([*arguments, *job.tests.split("\n")], plugins=[witness])
    witness.check_where_the_project_came_from()
    verdict_of(copy).write_text(
        json.dumps({"code": int(code), "assertion": witness.assertion, "passed": witness.passed})
    )
    return int(code)


def forget(*packages: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


class Witness:
    """A pytest plugin: did an assertion of the tests fail?"""

    def __init__(self, copy: Path) -> None:
        self.assertion = False
        self.passed = 0
        self._copy = copy

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> object:
        report = yield
        if call.when == "call":
            self.passed += report.passed
            if call.excinfo is not None and failed_on_assertion(call.excinfo.value, self._copy):
                self.assertion = True
                item.session.shouldstop = "caught"
        return report

    def check_where_the_project_came_from(self) -> None:
        package = sys.modules.get("ferryman")
        if package is not None and not Path(str(package.__file__)).is_relative_to(self._copy):
            raise RuntimeError(f"ferryman was imported from {package.__file__}, not from {self._copy}")


def failed_on_assertion(error: BaseException, copy: Path) -> bool:
    """`assert`, or a `pytest.raises` that was not satisfied, in tests/; also as one of a group."""
    if isinstance(error, BaseExceptionGroup):
        return any(failed_on_assertion(one, copy) for one in error.exceptions)
    if not isinstance(error, AssertionError | Failed):
        return False
    frames = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [path.resolve() for path in frames if path.resolve().is_relative_to(copy)]
    return bool(ours) and ours[-1].is_relative_to(copy / "tests")


def judge(one: Running, *, timed_out: bool) -> Result:
    unplant(one.job, one.copy)
    seconds = time.monotonic() - one.started
    output = log_of(one.copy).read_text(errors="replace") if log_of(one.copy).exists() else ""
    if timed_out:
        return Result(one.job.name, TIMEOUT, seconds, output)
    try:
        verdict = json.loads(verdict_of(one.copy).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return Result(one.job.name, CRASHED, seconds, output)
    if verdict["assertion"]:
        outcome = CAUGHT
    elif verdict["code"] == pytest.ExitCode.OK and verdict["passed"]:
        outcome = SURVIVED
    else:
        outcome = CRASHED
    return Result(one.job.name, outcome, seconds, output)


def plant(job: Job, copy: Path) -> None:
    if job.file:
        path = copy / job.file
        shutil.copy2(path, path.with_name(path.name + ".sound"))  # with its mode: a script must stay one
        path.write_text(path.read_text().replace(job.find, job.replace))
        forget_bytecode(path)


def unplant(job: Job, copy: Path) -> None:
    if job.file:
        path = copy / job.file
        path.with_name(path.name + ".sound").replace(path)
        forget_bytecode(path)


def forget_bytecode(path: Path) -> None:
    if path.suffix == ".py":
        Path(cache_from_source(str(path))).unlink(missing_ok=True)
        for place in path.parent.glob(f"__pycache__/{path.stem}.*-pytest-*.pyc"):
            place.unlink(missing_ok=True)


def kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def verdict_of(copy: Path) -> Path:
    return copy.with_name(copy.name + ".verdict")


def log_of(copy: Path) -> Path:
    return copy.with_name(copy.name + ".log")
