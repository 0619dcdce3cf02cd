"""The tables of docs/simulation.md, made from what scripts may name.

python -m tests.tools.simulation_page            writes them; a test compares them with the page
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ferryman.actors.core.crash_points import POINTS
from ferryman.supervisors.simulation import checks
from ferryman.supervisors.simulation.registry import INVARIANTS, STEPS
from ferryman.supervisors.simulation.scenario import ALL_POLICIES

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"
KEPT = {
    "drop": "nothing",
    "all": "everything",
    "prefix": "the first writes of each file, up to some",
    "subset": "some writes, in no order",
    "torn": "the first writes up to some, and of the last of them its beginning, cut at a byte or a sector",
    "shorn": "of each write some sectors, and nothing in the place of the others",
    "garbage": "of each write some sectors, and anything in the place of the others",
    "zeros": "sizes, with zeros in the place of all that was written",
    "kill": "everything: kill -9, the page cache stays",
}


def steps() -> Iterator[str]:
    for name in STEPS.all():
        kind = STEPS[name]
        if kind.__module__.startswith("ferryman."):
            keys = [field.alias or key for key, field in kind.model_fields.items() if key != "device"]
            yield f"| `{name}` | {', '.join(f'`{key}`' for key in keys)} |"


def policies() -> Iterator[str]:
    for name in ALL_POLICIES:
        yield f"| `{name}` | {KEPT[name]} |"


def invariants() -> Iterator[str]:
    said = dict(re.findall(r"^\| (\w+) +\| (.+?) +\|$", checks.__doc__ or "", re.MULTILINE))
    for name in INVARIANTS.ours():
        yield f"| `{name}` | {said.get(name) or (INVARIANTS[name].__doc__ or '').partition('.')[0]} |"


def points() -> Iterator[str]:
    for name, leaves in POINTS.items():
        yield f"| `{name}` | {leaves} |"


TABLES = {"steps": steps, "policies": policies, "invariants": invariants, "points": points}


def filled(text: str) -> str:
    """The page with its tables anew: each follows its mark, a head of two lines first."""
    for name, rows in TABLES.items():
        mark = re.compile(rf"(<!-- {name} -->\n\n(?:\|.*\n){{2}})(?:\|.*\n)*")
        text, count = mark.subn(lambda found, rows=rows: found.group(1) + "\n".join(rows()) + "\n", text)
        if count != 1:
            raise LookupError(f"{PAGE.name} has {count} tables of {name}")
    return text


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
