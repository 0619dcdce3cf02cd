"""The rules of the relay's wire, a line each in tests/wire_rules.tsv: what a stranger's client or relay relies on.

| column  | holds                                                                                     |
|---------|-------------------------------------------------------------------------------------------|
| id      | W, the section of the wire's description, a running number: `W5-07`                       |
| section | the place in the section, for who looks it up                                             |
| kind    | one of KINDS                                                                              |
| rule    | one sentence of that place in our own words, with its figures                             |

The list is the project's own: a copy of the project without the description beside it traces the same rules.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final

HEADER: Final = "id\tsection\tkind\trule"
KINDS: Final = ("invariant", "limit", "error", "state machine", "wire format", "API", "ops")
SECTIONS: Final = {
    "W1": "Transport",
    "W2": "Noise",
    "W3": "Envelope",
    "W4": "Messages",
    "W5": "What the relay does",
    "W6": "Sealed blob",
    "W7": "Keys",
    "W8": "HTTP on the same port",
    "W9": "Invites",
    "W10": "Strings that start a hash, a signature or a derivation",
}
ID: Final = re.compile(r"W(?:[1-9]|10)-\d{2,3}")


@dataclasses.dataclass(frozen=True, slots=True)
class Requirement:
    """What a test may settle: a requirement of the specification, or a rule of the wire with its words."""

    id: str
    section: str
    kind: str
    rule: str = ""

    @property
    def source(self) -> str:
        return self.id.partition("-")[0]


def read_wire_rules(path: Path) -> tuple[list[Requirement], list[str]]:
    """The rules in the order of the file, and one problem for each line that is none."""
    header, *lines = path.read_text().splitlines()
    rules: list[Requirement] = []
    problems = [] if header == HEADER else [f"{path.name}:1: the first line is not {HEADER!r}"]
    for number, line in enumerate(lines, 2):
        cells = line.split("\t")
        if problem := problem_of(cells, rules[-1] if rules else None):
            problems.append(f"{path.name}:{number}: {problem}")
        else:
            rules.append(Requirement(*cells))
    return rules, problems


def problem_of(cells: list[str], before: Requirement | None) -> str:
    if len(cells) != HEADER.count("\t") + 1 or not all(cell and cell == cell.strip() for cell in cells):
        return f"{len(cells)} cells, or an empty one; a rule is {HEADER!r}"
    if not ID.fullmatch(cells[0]):
        return f"{cells[0]} is no id of a rule"
    if cells[2] not in KINDS:
        return f"{cells[2]!r} is none of {', '.join(KINDS)}"
    if before is not None and place(cells[0]) <= place(before.id):
        return f"{cells[0]} comes after {before.id}"
    return ""


def place(rule_id: str) -> tuple[int, int]:
    section, _, number = rule_id.removeprefix("W").partition("-")
    return int(section), int(number)
