"""What is wrong with a script, in one line: its key, what it wants there, and what was meant perhaps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ferryman.supervisors.simulation.registry import meant

LISTS_OF_TABLES = ("step", "given")
WANTS = {
    "tuple_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
}


def complaint(error: ValidationError, known: Sequence[str], tables: Mapping[str, Sequence[str]] | None = None) -> str:
    """The first wrong key. known: the keys that there are; tables: those of each table inside."""
    first = error.errors(include_url=False)[0]
    where, key = place(first["loc"])
    named = f"{where}{key}: " if key else where
    given: Any = first["input"]
    match first["type"]:
        case "extra_forbidden":
            parent, _, last = key.rpartition(".")
            return f"{where}there is no key {key!r}{meant(last, list((tables or {}).get(parent, known)))}"
        case "missing":
            return f"{named}is missing"
        case "literal_error" if isinstance(given, str):
            names = re.findall(r"'([^']*)'", str(first.get("ctx", {}).get("expected")))
            return f"{named}there is no {given!r}{meant(given, names)}"
        case "too_short":
            return f"{named}wants {first.get('ctx', {}).get('min_length')} or more, or nothing would be tried"
        case "too_long":
            return f"{named}wants {first.get('ctx', {}).get('max_length')}, not more"
        case "tuple_type" | "dict_type" | "mapping_type" if key in LISTS_OF_TABLES or where:
            table = key or where.partition(" ")[0]
            return f"{named}wants tables, each under its own line [[{table}]]"
        case kind if kind in WANTS:
            return f"{named}wants {WANTS[kind]}, not {given!r}"
        case _:
            said = first["msg"].removeprefix("Value error, ")
            return named + said.replace("Input should be", "wants", 1)


def place(loc: Sequence[int | str]) -> tuple[str, str]:
    """The table of a list that it is in, as "step 2: ", and the key in words of the script."""
    if len(loc) > 1 and loc[0] in LISTS_OF_TABLES and isinstance(loc[1], int):
        return f"{loc[0]} {loc[1] + 1}: ", ".".join(map(str, loc[2:]))
    return "", ".".join(str(part) for part in loc if not isinstance(part, int))
