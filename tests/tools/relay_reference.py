"""Writes examples/relay.toml: every key of a relay's configuration, its default, and what it settles.

    python -m tests.tools.relay_reference

A key without a default is a comment; so are the keys of [access], which everybody makes for himself.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

from ferryman.supervisors.relay_config import RelayConfig

PAGE = Path(__file__).resolve().parents[2] / "examples" / "relay.toml"
WIDTH = 110
HEAD = """\
# A relay's configuration, complete: each key with its default. A file needs only what differs.
# An unknown key or a wrong value keeps the relay from starting; `ferryman relay --check` says which.
# FERRYMAN_RELAY_<TABLE>_<KEY> in the environment is over this file, the command line over both.
"""


def reference() -> str:
    return "\n".join([HEAD, *lines()]).rstrip() + "\n"


def lines() -> Iterator[str]:
    for table, inner in RelayConfig():
        yield f"[{table}]"
        for key, field in type(inner).model_fields.items():
            yield from textwrap.wrap(field.description or "", WIDTH, initial_indent="# ", subsequent_indent="# ")
            yield assignment(key, getattr(inner, key))
        yield ""


def assignment(key: str, default: object) -> str:
    match default:
        case None:
            return f'# {key} = ""'
        case dict():
            return f'# {key} = {{ anna = "..." }}'
        case tuple():
            return f"{key} = {json.dumps(list(default))}"
        case _:
            return f"{key} = {json.dumps(default)}"


if __name__ == "__main__":
    PAGE.write_text(reference())
    print(f"{PAGE.name}: {len(reference().splitlines())} lines")
