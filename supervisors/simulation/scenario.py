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

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ferryman.actors.simulated.inode import POLICIES
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.beside import run_beside
from ferryman.supervisors.simulation.complaint import complaint
from ferryman.supervisors.simulation.registry import INVARIANTS, PROGRAMS, STEPS, Step, meant

FORMAT = "ferryman.scenario/1"
KILL = "kill"
ALL_POLICIES = (*POLICIES, KILL)  # the last one is kill -9: the page cache stays
SEEDS_AT_MOST = 1_000_000
MILLISECONDS_AT_MOST = 60_000.0  # longer than anything waits for a piece of work
MACHINE_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")  # it stands in a case, and in a file's name
Errors = Literal["EIO", "ENOSPC"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def seeds_of(value: object) -> object:
    """ "0..3" is 0, 1, 2, 3."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, list | tuple):
        return cast("object", value)
    first, dots, last = value.partition("..") if isinstance(value, str) else ("", "", "")
    if not (dots and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise ValueError(f'wants a number, a list of them, or a range like "0..3", not {value!r}')
    if int(last) - int(first) >= SEEDS_AT_MOST:
        raise ValueError(f"wants {SEEDS_AT_MOST:,} seeds or fewer")
    return tuple(range(int(first), int(last) + 1))


def milliseconds_of(value: tuple[float, float]) -> tuple[float, float]:
    """Least and most."""
    if not 0 <= value[0] <= value[1] <= MILLISECONDS_AT_MOST:
        raise ValueError(f"wants the least and the most, from 0 to {MILLISECONDS_AT_MOST:,.0f}, not {list(value)}")
    return value


Number = Annotated[int, Field(strict=True, ge=0)]
Flag = Annotated[bool, Field(strict=True)]
Seeds = Annotated[tuple[Number, ...], BeforeValidator(seeds_of), Field(min_length=1)]
Milliseconds = Annotated[tuple[float, float], Field(strict=False), AfterValidator(milliseconds_of)]
Policy = Literal["drop", "all", "prefix", "subset", "torn", "shorn", "garbage", "zeros", "kill"]


class Crash(Strict):
    """points: crash points, "buffer.commit" or "relay:buffer.commit". every_io: before and after every operation of
    the disk. errors: that operation fails instead. machines: which ones; all when left out."""

    points: tuple[str, ...] = ()
    every_io: Flag = False
    errors: tuple[Errors, ...] = ()
    machines: tuple[str, ...] | None = None


class Weather(Strict):
    """Milliseconds of virtual time: of a piece on the network, and of a piece of work on the disk. Least and most."""

    network_ms: Milliseconds = (0.0, 0.0)
    disk_ms: Milliseconds = (0.0, 0.0)


class Expect(Strict):
    """invariants: by name; all that fit the world when left out."""

    invariants: Annotated[tuple[str, ...], Field(min_length=1)] | None = None


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
    nested: Annotated[tuple[Number, ...], Field(min_length=1)] | Literal["every"] = (0,)
    machines: Mapping[str, str] = {}
    uses: tuple[str, ...] = ()
    weather: Weather = Weather()
    together: Flag = False
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
        named = {name for one in (*self.prelude, *self.steps) for name in one.machines}
        devices = sorted(named - {"relay"})
        return {"relay": "relay", **dict.fromkeys(devices, "device")}


TABLES = {name: list(kind.model_fields) for name, kind in (("crash", Crash), ("weather", Weather), ("expect", Expect))}


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
        keys_known = [field.alias or name for name, field in kind.model_fields.items()]
        raise BadInput(f"{where} ({do}): {complaint(error, keys_known)}") from None


def load(path: Path) -> Scenario:
    """Read a script. Raises BadInput: one line with file and key."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not a TOML file: {error}") from None
    uses: object = document.get("uses", [])
    beside = [run_beside(path, name) for name in (cast("list[object]", uses) if isinstance(uses, list) else [])]
    try:
        scenario = check(document)
    except BadInput as error:
        raise BadInput(f"{path}: {error.message}") from None
    own = tuple(name for names in beside for name in names)
    if scenario.expect.invariants is not None or not own:
        return scenario
    return scenario.model_copy(update={"expect": Expect(invariants=INVARIANTS.ours() + own)})


def check(document: Mapping[str, Any]) -> Scenario:
    """A scenario that can run. Raises BadInput."""
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise BadInput(complaint(error, list(Scenario.model_fields), TABLES)) from None
    for name, program in scenario.world.items():
        if not MACHINE_NAME.fullmatch(name):
            raise BadInput(f"machines: {name!r} is no name for a machine: letters, digits, dots, _ and -")
        try:
            PROGRAMS.find(program)
        except BadInput as error:
            raise BadInput(f"machines.{name}: {error.message}") from None
    for name in scenario.expect.invariants or ():
        try:
            INVARIANTS.find(name)
        except BadInput as error:
            raise BadInput(f"expect.invariants: {error.message}") from None
    for number, one in enumerate(scenario.prelude, 1):
        check_machines(scenario.world, one, f"given {number}")
    for number, one in enumerate(scenario.steps, 1):
        check_machines(scenario.world, one, f"step {number}")
    known = list(scenario.world)
    if any(one.name == "crash-at" for one in (*scenario.prelude, *scenario.steps)) and scenario.crash != Crash():
        raise BadInput("crash: a script has either the step crash-at or a table [crash]: both would aim at one disk")
    for machine in (*(scenario.crash.machines or ()), *(machine_of(point) for point in scenario.crash.points)):
        if machine and machine not in known:
            raise BadInput(f"crash: there is no machine {machine!r}{meant(machine, known)}")
    return scenario


def check_machines(world: Mapping[str, str], one: Step, where: str) -> None:
    """Raises BadInput if the step names a machine that there is not, or one that runs something else."""
    for name in one.machines:
        if name not in world:
            raise BadInput(f"{where} ({one.name}): there is no machine {name!r}{meant(name, list(world))}")
        if one.program and world[name] != one.program:
            raise BadInput(
                f"{where} ({one.name}): wants a machine that runs {one.program!r}, and {name!r} runs {world[name]!r}"
            )


def machine_of(point: str) -> str:
    """ "relay" of "relay:buffer.commit", "" of "buffer.commit"."""
    machine, colon, _ = point.partition(":")
    return machine if colon else ""
