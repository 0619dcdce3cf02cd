"""docs/machines/: a page and a drawing for every machine, made by running it on an example of each state.

    python -m tests.tools.machines [--check]        --check writes nothing and fails when a page is stale

It also fails when a state, a command, an event or an effect of a machine is in no example (tests/tables/
machine_examples.py), when an example's state is not the one it is called, and when a machine has no page.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ferryman.protocol
from ferryman.protocol.machine import Command
from tests.tables.machine_examples import PORTRAITS, Portrait
from tests.tools.machine_drawing import Arrow, draw

ROOT = Path(__file__).resolve().parents[2]
PAGES = "docs/machines"
MACHINE = Command.__module__  # where the form is said
CARRIERS = ("Send", "Tell", "Received")  # shown with what they carry


def main() -> int:
    parser = argparse.ArgumentParser(prog="machines", description="Write a page for every machine.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    options = parser.parse_args()
    problems = check(PORTRAITS)
    written = dict(pages(PORTRAITS))
    stale = [name for name, text in written.items() if not current(ROOT / name, text)]
    if options.check:
        problems += [f"{name} is stale: run `make machines`" for name in stale]
    elif not problems:
        (ROOT / PAGES).mkdir(exist_ok=True)
        for name in stale:
            (ROOT / name).write_text(written[name])
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(PORTRAITS)} machines, {sum(map(len, map(rows, PORTRAITS.values())))} transitions run")
    return 1 if problems else 0


def current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


# --- what is there


def machines() -> set[str]:
    """The modules of the ground floor that hold a machine: decide, evolve, owed."""
    found: set[str] = set()
    for info in pkgutil.walk_packages(ferryman.protocol.__path__, "ferryman.protocol."):
        for one in vars(importlib.import_module(info.name)).values():
            if inspect.isclass(one) and one.__module__ == info.name != MACHINE and is_machine(one):
                found.add(info.name)
    return found


def is_machine(one: type) -> bool:
    return all(hasattr(one, name) for name in ("decide", "evolve", "owed"))


def members(union: Any) -> tuple[type, ...]:
    return typing.get_args(union) or (union,)


def rows(portrait: Portrait) -> list[tuple[str, str, Any]]:
    """(state, told, outcome), all that can be run."""
    return [
        (state, told, portrait.step(example, what))
        for state, example in portrait.states.items()
        for told, what in portrait.told.items()
    ]


def check(portraits: dict[str, Portrait]) -> list[str]:
    shown = {portrait.module.__name__ for portrait in portraits.values()}
    problems = [f"{module}: a machine without a page" for module in sorted(machines() - shown)]
    for name, portrait in portraits.items():
        outcomes = [outcome for _, _, outcome in rows(portrait)]
        states = [*portrait.states.values(), *(outcome.after for outcome in outcomes)]
        seen = {type(one) for one in portrait.told.values()}
        seen |= {type(one) for outcome in outcomes for one in outcome.brings}
        seen |= {type(one) for state in states for one in portrait.owed(state)}
        listed = {one for union in portrait.kinds.values() for one in members(union)}
        problems += sorted(f"{name}: {one.__name__} is on no list" for one in seen - listed)
        for kind, union in portrait.kinds.items():
            missing = [one.__name__ for one in members(union) if one not in seen and one not in portrait.of_old]
            problems += [f"{name}: {kind.lower()}: no example brings {one}" for one in missing]
        for called, state in portrait.states.items():
            if portrait.state_of(state) != called:
                problems.append(f"{name}: the example of {called!r} is {portrait.state_of(state)!r}")
        ways = {portrait.state_of(outcome.after) for outcome in outcomes}
        problems += [f"{name}: {one!r} is reached, and is no example" for one in sorted(ways - portrait.states.keys())]
    return problems


# --- pages


def pages(portraits: dict[str, Portrait]) -> Iterator[tuple[str, str]]:
    """(path, text)"""
    for name, portrait in portraits.items():
        yield f"{PAGES}/{name}.md", page(name, portrait)
        yield f"{PAGES}/{name}.svg", draw(f"The {name} machine", list(portrait.states), arrows(portrait))


def page(name: str, portrait: Portrait) -> str:
    first, _, rest = inspect.cleandoc(portrait.module.__doc__ or "").partition("\n")
    source = portrait.module.__name__.removeprefix("ferryman.").replace(".", "/") + ".py"
    lines = [
        f"# {portrait.title}",
        "",
        first,
        "",
        f"Written by `make machines`, which runs `{source}` on an example of each state; not edited by hand.",
        "",
        f"![How the {name} machine goes from state to state; the tables below say the same.]({name}.svg)",
        "",
        "```text",
        rest.strip("\n"),
        "```",
    ]
    for title, union in portrait.kinds.items():
        lines += ["", f"## {title}", "", *vocabulary(union)]
    lines += ["", "## What follows"]
    for state, example in portrait.states.items():
        lines += ["", f"### {state}", ""]
        if owed := names(portrait.owed(example)):
            lines += [f"Owed: {owed}.", ""]
        lines += transitions(portrait, state)
    return "\n".join(lines) + "\n"


def vocabulary(union: Any) -> Iterator[str]:
    yield "| name | holds | is |"
    yield "|---|---|---|"
    for one in members(union):
        fields = ", ".join(f"`{field}`" for field in inspect.signature(one).parameters)
        said = inspect.getdoc(one) or ""
        said = (
            "" if said.startswith(f"{one.__name__}(") else " ".join(said.split()).replace("|", r"\|")
        )  # dataclass makes one up
        yield f"| `{one.__name__}` | {fields} | {said}{replies(one)} |"


def replies(one: type) -> str:
    for base in getattr(one, "__orig_bases__", ()):
        if typing.get_origin(base) is Command:
            [reply] = typing.get_args(base)
            shown = getattr(reply, "__forward_arg__", getattr(reply, "__name__", str(reply)))
            return "" if shown == "NoneType" else f" Reply: `{shown}`."
    return ""


def transitions(portrait: Portrait, state: str) -> Iterator[str]:
    nothing: list[str] = []
    yield "| told | brings | answer | then |"
    yield "|---|---|---|---|"
    for at, told, outcome in rows(portrait):
        if at != state:
            continue
        then = portrait.state_of(outcome.after)
        if outcome.brings or outcome.answer or then != state:
            goes = f"**{then}**" if then != state else "the same"
            yield f"| {told} | {names(outcome.brings)} | {outcome.answer} | {goes} |"
        else:
            same = outcome.after == portrait.states[state]
            nothing.append(told if same else f"{told} (remembered)")
    if nothing:
        yield ""
        yield f"Nothing is to be done about: {'; '.join(nothing)}."


def names(values: tuple[Any, ...]) -> str:
    return ", ".join(dict.fromkeys(f"`{name_of(value)}`" for value in values))


def name_of(value: Any) -> str:
    name = type(value).__name__
    if name in CARRIERS:
        [field] = type(value).__dataclass_fields__
        return f"{name}({type(getattr(value, field)).__name__})"
    return name


def arrows(portrait: Portrait) -> list[Arrow]:
    """One for each two states between which there is a way, with all that goes it."""
    ways: dict[tuple[str, str], list[str]] = {}
    for state, told, outcome in rows(portrait):
        then = portrait.state_of(outcome.after)
        if then != state:
            ways.setdefault((state, then), []).append(told)
    return [Arrow(source, target, tuple(told)) for (source, target), told in ways.items()]


if __name__ == "__main__":
    raise SystemExit(main())
