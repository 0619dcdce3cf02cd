"""A scenario as the TOML that loads into it: what a person keeps of a run that chance has found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ferryman.supervisors.simulation.scenario import Scenario


def as_toml(scenario: Scenario) -> str:
    """What it says beyond the defaults. The seeds are a range, as people write them."""
    said = scenario.model_dump(mode="json", exclude_defaults=True)
    seeds, given, steps = said.pop("seeds", [0]), said.pop("given", []), said.pop("step")
    tables = {name: said.pop(name) for name in ("machines", "weather", "crash", "expect") if name in said}
    lines = [f"format = {value(said.pop('format', scenario.format))}", *entries(said)]
    lines.append(f'seeds = "{seeds[0]}..{seeds[-1]}"')
    for name, table in tables.items():
        lines += ["", f"[{name}]", *entries(table)]
    for name, rows in (("given", given), ("step", steps)):
        for row in rows:
            lines += ["", f"[[{name}]]", *entries(row)]
    return "\n".join(lines) + "\n"


def entries(table: Mapping[str, Any]) -> Iterator[str]:
    for key, one in table.items():
        yield f"{key} = {value(one)}"


def value(one: Any) -> str:
    """JSON's words for text, numbers, truth and lists of them are TOML's too."""
    return json.dumps(one, ensure_ascii=False)
