"""The floors, by reading every import: what may stand on what, and where clock, chance and the outside world come in.

| floor        | may import                                                              |
|--------------|-------------------------------------------------------------------------|
| protocol/    | `PURE` of the standard library, `PURE_LIBRARIES`; keys only in crypto/  |
| actors/      | protocol; the outside world only through ports                          |
| supervisors/ | actors and protocol; its command line and demo are processes' edges     |
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("protocol", "actors", "supervisors")  # from the ground up
PORTS = ("actors/ports.py", "actors/real_ports.py", "actors/local_sockets.py", "actors/simulated/disk.py")
GUARDS = "supervisors/simulation/guards.py"  # takes all that away from a simulation
POOL = "supervisors/simulation/pool.py"  # shares runs among processes
SELF_TEST = "supervisors/simulation/self_test.py"  # plants bugs in processes of their own
TWICE = "supervisors/simulation/twice.py"  # lives through a run once more in another process
FORK_SERVER = "supervisors/simulation/fork_server.py"  # real runs start, kill and hear processes through it alone
PORTAL = "supervisors/portal.py"  # lets a program without a loop call into one that has its own thread
EDGES = ("supervisors/cli/", "supervisors/demo/")  # they start processes and show files to people


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PURE = names("""
    __future__ abc base64 binascii bisect collections contextlib copy dataclasses decimal enum functools hashlib heapq
    hmac inspect ipaddress itertools json math operator re string struct textwrap types typing unicodedata urllib.parse
""")
PURE_LIBRARIES = names("pydantic msgpack msgspec rfc8785 zstandard")
KEY_LIBRARIES = names("nacl noise argon2 cryptography")

OUTSIDE = names("""
    asyncio concurrent.futures multiprocessing random secrets select selectors socket subprocess tempfile threading time
    uuid
""")
OUTSIDE_CALLS = names("""
    os.urandom os.getrandom os.open open io.open apsw.Connection
    datetime.now datetime.utcnow datetime.today date.today datetime.datetime.now datetime.date.today
    trio.open_tcp_stream trio.open_tcp_listeners trio.serve_tcp trio.open_file trio.socket.socket
    trio.to_thread.run_sync trio.from_thread.run trio.from_thread.run_sync trio.run_process trio.lowlevel.open_process
""")

LINES_AT_MOST = 300
LONGER: dict[str, str] = {}  # file: why its one noun needs more


@cache
def files() -> tuple[str, ...]:
    found = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    found += (ROOT / "src" / "ferryman").glob("*.py")
    return tuple(sorted(path.relative_to(ROOT).as_posix() for path in found))


def floor(*names: str) -> list[str]:
    return [one for one in files() if one.partition("/")[0] in names]


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


def module(file: str) -> str:
    parts = Path(file.removeprefix("src/ferryman/")).with_suffix("").parts
    return ".".join(("ferryman", *(part for part in parts if part != "__init__")))


@cache
def modules() -> dict[str, str]:
    return {module(file): file for file in files()}


def imports(file: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all imports, also those inside functions and under TYPE_CHECKING: they bind no less."""
    for node in ast.walk(tree(file)):
        match node:
            case ast.Import():
                yield from ((node.lineno, one.name) for one in node.names)
            case ast.ImportFrom(module=source, level=0) if source is not None:
                for one in node.names:
                    whole = f"{source}.{one.name}"
                    yield node.lineno, whole if whole in modules() or not source.startswith("ferryman") else source
            case ast.ImportFrom():
                yield node.lineno, "a relative import"
            case _:
                pass


def within(name: str, allowed: frozenset[str]) -> bool:
    """`collections.abc.Mapping` is within `collections`."""
    parts = name.split(".")
    return any(".".join(parts[:n]) in allowed for n in range(1, len(parts) + 1))


def test_no_import_goes_up():
    up = [
        f"{file}:{line} {name}"
        for file in files()
        for line, name in imports(file)
        if file.partition("/")[0] in FLOORS
        for above in FLOORS[FLOORS.index(file.partition("/")[0]) + 1 :]
        if name.startswith(f"ferryman.{above}")
    ]
    assert up == []


def test_no_module_is_reached_by_another_name():
    """`import protocol` would make a second copy of every class; the shop window is for hosts, not for the floors."""
    other = [
        f"{file}:{line} {name}"
        for file in floor(*FLOORS)
        for line, name in imports(file)
        if name.partition(".")[0] in FLOORS
        or name == "a relative import"
        or (name.startswith("ferryman") and name.split(".")[1:2] not in [[one] for one in (*FLOORS, "version")])
    ]
    assert other == []


def test_imports_make_no_circle():
    graph = {name: [to for _, to in imports(file) if to in modules()] for name, file in modules().items()}
    assert list(circles(graph)) == []


def circles(graph: dict[str, list[str]]) -> Iterator[str]:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> Iterator[str]:
        if name in path:
            yield " -> ".join((*path[path.index(name) :], name))
        elif name not in done:
            for to in graph[name]:
                yield from visit(to, (*path, name))
            done.add(name)

    for start in graph:
        yield from visit(start, ())


@pytest.mark.req("S4-11", "S4-12")
def test_protocol_imports_only_what_is_pure():
    allowed = PURE | PURE_LIBRARIES | KEY_LIBRARIES | {"ferryman.protocol"}
    impure = [
        f"{file}:{line} {name}"
        for file in floor("protocol")
        for line, name in imports(file)
        if not within(name, allowed)
    ]
    assert impure == []


def test_keys_are_handled_in_one_folder():
    elsewhere = [
        f"{file}:{line} {name}"
        for file in files()
        if not file.startswith("protocol/crypto/")
        for line, name in imports(file)
        if within(name, KEY_LIBRARIES)
    ]
    assert elsewhere == []


def test_clock_chance_and_the_outside_world_come_in_through_ports():
    outside = [
        f"{file}:{line} {name}"
        for file in files()
        if file not in (*PORTS, GUARDS)
        for line, name in imports(file)
        # the type of a seeded generator that somebody hands in is no chance
        if within(name, outside_for(file)) and name != "random.Random"
    ]
    assert outside == []


def outside_for(file: str) -> frozenset[str]:
    if file == POOL:
        return OUTSIDE - {"concurrent.futures", "multiprocessing"}
    if file == SELF_TEST:
        return OUTSIDE - {"concurrent.futures", "subprocess"}
    if file == TWICE:
        return OUTSIDE - {"subprocess"}
    if file == FORK_SERVER:
        return OUTSIDE - {"select", "socket", "tempfile", "threading"}
    if file == PORTAL:
        return OUTSIDE - {"concurrent.futures", "threading"}
    return OUTSIDE - {"subprocess", "tempfile"} if file.startswith(EDGES) else OUTSIDE


def test_nothing_but_ports_calls_the_outside_world():
    calls = [
        f"{file}:{node.lineno} {ast.unparse(node.func)}"
        for file in floor("protocol", "actors", "supervisors")
        if file not in PORTS and not file.startswith(EDGES)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and (ast.unparse(node.func) in OUTSIDE_CALLS or unseeded(node))
    ]
    assert calls == []


def unseeded(call: ast.Call) -> bool:
    return ast.unparse(call.func).endswith("Random") and not call.args and not call.keywords


def test_protocol_neither_waits_nor_prints():
    effects = [
        f"{file}:{node.lineno}"
        for file in floor("protocol")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.AsyncFunctionDef | ast.Await)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"))
    ]
    assert effects == []


def test_the_packages_of_the_floors_import_nothing():
    loaded = [
        f"{file}:{line} {name}"
        for file in floor(*FLOORS)
        if file.endswith("__init__.py")
        for line, name in imports(file)
    ]
    assert loaded == []


def test_every_folder_of_a_floor_is_a_package():
    folders = {(ROOT / file).parent for file in floor(*FLOORS)}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


STRANGER = "tests/integration/stranger"
OURS = names("ferryman noise nacl argon2 msgpack msgspec zstandard trio trio_websocket wsproto hypercorn")


def test_the_stranger_shares_no_code_with_us():
    """Two programs that read one page: what one of them got wrong, the other must not have from the same place."""
    stranger = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / STRANGER).rglob("*.py"))
    shared = [
        f"{file}:{line} {name}"
        for file in stranger
        for line, name in imports(file)
        if within(name, OURS)
        or name == "a relative import"
        or (within(name, frozenset({"tests"})) and not name.startswith(STRANGER.replace("/", ".")))
    ]
    assert len(stranger) > 1
    assert shared == []


def test_every_strategy_says_because():
    silent = [
        f"{file}:{node.lineno}"
        for file in floor("actors", "supervisors")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Supervisor")
        if not any(one.arg == "because" and len(ast.unparse(one.value)) > len("''") for one in node.keywords)
    ]
    assert silent == []


def test_a_handler_of_everything_says_why():
    """`except Exception` is for the core's one place and the edges of a process; whoever cleans up and raises on says
    what for."""
    broad = [
        f"{file}:{node.lineno}"
        for file in floor("protocol", "actors", "supervisors")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and "#" not in (ROOT / file).read_text().splitlines()[node.lineno - 1]
    ]
    assert broad == []


SUPPRESSION = re.compile(r"# (noqa: [A-Z0-9, ]+[0-9]|type: ignore\[[a-z-]+\]|pyright: ignore\[\w+\])(?P<reason>.*)")


def test_a_rule_that_is_switched_off_has_its_reason_beside_it():
    """On its line after a dash, or as a comment right above."""
    silent: list[str] = []
    for file in (*files(), *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "tests").rglob("*.py")))):
        lines = (ROOT / file).read_text().splitlines()
        for number, (above, line) in enumerate(pairwise(["", *lines]), 1):
            found = SUPPRESSION.search(line)
            if found and not found["reason"].startswith(" - ") and not above.lstrip().startswith("#"):
                silent.append(f"{file}:{number}")
    assert silent == []


def test_a_test_sleeps_on_a_mock_clock_or_says_beside_it_why_not():
    found = [sleep for path in (ROOT / "tests").rglob("test_*.py") for sleep in real_sleeps(path)]
    assert found == []


def real_sleeps(path):
    source = path.read_text()
    lines = source.splitlines()
    tests = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for test in tests:
        clocks = {argument.arg for argument in test.args.args} & {"autojump_clock", "mock_clock"}
        if test.name.startswith("test_") and not clocks:
            for node in ast.walk(test):
                match node:
                    case ast.Call(func=ast.Attribute(attr="sleep")) if "#" not in lines[node.lineno - 1]:
                        yield f"{path.name}:{node.lineno}"
                    case _:
                        pass


def test_files_hold_one_noun():
    long = {file: lines for file in files() if (lines := len((ROOT / file).read_text().splitlines())) > LINES_AT_MOST}
    assert {file: lines for file, lines in long.items() if file not in LONGER} == {}
    assert [file for file in LONGER if file not in long] == [], "no longer needed here"


def test_files_open_with_what_they_are():
    assert [file for file in files() if not ast.get_docstring(tree(file))] == []


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": ["b"], "b": ["c"], "c": []}, []),
        ({"a": ["a"]}, ["a -> a"]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ["b -> c -> b"]),
    ],
)
def test_a_circle_is_found_wherever_it_is_entered(graph, found):
    assert list(circles(graph)) == found
