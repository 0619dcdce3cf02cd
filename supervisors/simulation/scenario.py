"""A scenario: what happens, where it may crash, and what must hold. TOML, format `ferryman.scenario/1`.

    format = "ferryman.scenario/1"
    name = "a push and a relay that dies"
    [[step]]
    do = "enqueue"
    device = "a"
    [crash]
    points = ["buffer.commit"]
    every_io = true
    [expect]
    invariants = ["acknowledged", "converges"]

An unknown key, step, point or invariant, and a script that tests nothing, are BadInput: one line with file and key.
"""

from __future__ import annotations

import runpy
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ferryman.actors.simulated.inode import POLICIES
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.registry import INVARIANTS, PROGRAMS, STEPS, Step, meant

FORMAT = "ferryman.scenario/1"
KILL = "kill"
ALL_POLICIES = (*POLICIES, KILL)  # the last one is kill -9: the page cache stays
SEEDS_AT_MOST = 1_000_000
Errors = Literal["EIO", "ENOSPC"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def seeds_of(value: object) -> object:
    """ "0..3" is 0, 1, 2, 3."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, str):
        first, dots, last = value.partition("..")
        if dots and first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= int(first) + SEEDS_AT_MOST:
            return tuple(range(int(first), int(last) + 1))
        raise ValueError('wants a number, or a range like "0..3"')
    return value


Seeds = Annotated[tuple[int, ...], BeforeValidator(seeds_of), Field(min_length=1)]
Policy = Literal["drop", "all", "prefix", "subset", "torn", "shorn", "garbage", "zeros", "kill"]


class Crash(Strict):
    """points: crash points, "buffer.commit" or "relay:buffer.commit". every_io: before and after every operation of
    the disk. errors: that operation fails instead. machines: which ones; all when left out."""

    points: tuple[str, ...] = ()
    every_io: bool = False
    errors: tuple[Errors, ...] = ()
    machines: tuple[str, ...] | None = None


class Weather(Strict):
    """Milliseconds of virtual time: of a piece on the network, and of a piece of work on the disk. Least and most."""

    network_ms: tuple[float, float] = (0.0, 0.0)
    disk_ms: tuple[float, float] = (0.0, 0.0)


class Expect(Strict):
    """invariants: by name; all that fit the world when left out."""

    invariants: tuple[str, ...] | None = None


class Scenario(Strict):
    """nested: k crashes again at the k-th operation of the recovery, 0 not at all; "every": at each one until the
    recovery is through, and a sample of crashes in the recovery from that. machines: name -> program; a relay
    and the devices that the steps name when left out. given: steps before the first crash. uses: Python files beside
    the script that register more."""

    format: Literal["ferryman.scenario/1"]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    about: str = ""
    seeds: Seeds = (0,)
    policies: Annotated[tuple[Policy, ...], Field(min_length=1)] = ("drop", "all", "torn", KILL)
    nested: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | Literal["every"] = (0,)
    machines: Mapping[str, str] = {}
    uses: tuple[str, ...] = ()
    weather: Weather = Weather()
    together: bool = False
    given: tuple[Mapping[str, Any], ...] = ()
    step: Annotated[tuple[Mapping[str, Any], ...], Field(min_length=1)]
    crash: Crash = Crash()
    expect: Expect = Expect()

    def widened(self) -> Scenario:
        """The same story, crashed as widely as there is time for in a night: every operation under every policy.

        Each operation of each recovery too, where one machine is alone; of more machines, whose runs are longer and
        seldom equal, the first of a recovery."""
        crash = self.crash.model_copy(update={"every_io": True})
        nested = "every" if len(self.world) == 1 else (0, 1, 2, 3)
        return self.model_copy(update={"policies": ALL_POLICIES, "nested": nested, "crash": crash})

    @property
    def prelude(self) -> list[Step]:
        return [made(table, f"given {number}") for number, table in enumerate(self.given, 1)]

    @property
    def steps(self) -> list[Step]:
        return [made(table, f"step {number}") for number, table in enumerate(self.step, 1)]

    @property
    def world(self) -> dict[str, str]:
        """Name -> program, in the order in which they start."""
        if self.machines:
            return dict(self.machines)
        devices = sorted({one.device for one in (*self.prelude, *self.steps) if one.device != "relay"})
        return {"relay": "relay", **dict.fromkeys(devices, "device")}


def made(table: Mapping[str, Any], where: str) -> Step:
    """A step out of its table. Raises BadInput."""
    keys = dict(table)
    do = keys.pop("do", None)
    if not isinstance(do, str):
        raise BadInput(f'{where}: wants a key `do`, as in do = "enqueue"')
    try:
        kind = STEPS.find(do)
    except BadInput as error:
        raise BadInput(f"{where}: {error.message}") from None
    try:
        return kind.model_validate(keys)
    except ValidationError as error:
        raise BadInput(f"{where} ({do}): {complaint(error, list(kind.model_fields))}") from None


def load(path: Path) -> Scenario:
    """Read a script. Raises BadInput: one line with file and key."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not a TOML file: {error}") from None
    uses: object = document.get("uses", [])
    for name in cast("list[object]", uses) if isinstance(uses, list) else []:
        run_beside(path, name)
    try:
        return check(document)
    except BadInput as error:
        raise BadInput(f"{path}: {error.message}") from None


_ran: dict[Path, None] = {}


def run_beside(script: Path, name: object) -> None:
    """Run a Python file that a script uses, once a process, for what it registers."""
    if not isinstance(name, str):
        raise BadInput(f"{script}: uses: wants names of Python files beside the script")
    path = (script.parent / name).resolve()
    if not path.is_file():
        raise BadInput(f"{script}: uses: {path} is no file")
    if path not in _ran:
        _ran[path] = None
        runpy.run_path(str(path), run_name=path.stem)


def check(document: Mapping[str, Any]) -> Scenario:
    """A scenario that can run. Raises BadInput."""
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise BadInput(complaint(error, list(Scenario.model_fields))) from None
    for name, program in scenario.world.items():
        try:
            PROGRAMS.find(program)
        except BadInput as error:
            raise BadInput(f"machines.{name}: {error.message}") from None
    for name in scenario.expect.invariants or ():
        try:
            INVARIANTS.find(name)
        except BadInput as error:
            raise BadInput(f"expect.invariants: {error.message}") from None
    known = list(scenario.world)
    for where, steps in (("given", scenario.prelude), ("step", scenario.steps)):
        for number, one in enumerate(steps, 1):
            if one.device not in known:
                raise BadInput(
                    f"{where} {number} ({one.name}): device: there is no {one.device!r}{meant(one.device, known)}"
                )
    for machine in (*(scenario.crash.machines or ()), *(machine_of(point) for point in scenario.crash.points)):
        if machine and machine not in known:
            raise BadInput(f"crash: there is no machine {machine!r}{meant(machine, known)}")
    return scenario


def machine_of(point: str) -> str:
    """ "relay" of "relay:buffer.commit", "" of "buffer.commit"."""
    machine, colon, _ = point.partition(":")
    return machine if colon else ""


def complaint(error: ValidationError, known: list[str]) -> str:
    """The first wrong key in one line."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(step) for step in first["loc"]) or "the script"
    match first["type"]:
        case "extra_forbidden":
            return f"there is no key {key!r}{meant(key, known) if '.' not in key else ''}"
        case "missing":
            return f"{key}: is missing"
        case _:
            return f"{key}: {first['msg'].removeprefix('Value error, ')}"
