"""The strings that start a hash, a signature or a derivation (wire §10): which there are, and no others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ferryman.protocol.crypto import domains

ROOT = Path(__file__).resolve().parents[2]
STRINGS = {name: value for name, value in vars(domains).items() if isinstance(value, bytes)}
OF_THE_WIRE = "group-id group-salt group-proof encryption authentication blob blob-sig short-code"


@pytest.mark.req("W10-01")
def test_the_strings_of_the_wire_are_those_of_the_page():
    assert {f"ferryman/{purpose}/1".encode() for purpose in OF_THE_WIRE.split()} <= set(STRINGS.values())


@pytest.mark.req("W10-04")
@pytest.mark.parametrize("value", STRINGS.values(), ids=STRINGS)
def test_a_string_is_ascii_and_holds_no_nul(value):
    assert value.isascii()
    assert value.decode().isprintable()
    assert value.startswith(b"ferryman/")


@pytest.mark.req("W10-07")
def test_no_string_stands_anywhere_but_in_the_table():
    """A use with a string of its own making would be one that nobody compared with the others."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for floor in ("protocol", "actors", "supervisors", "src")
        for path in sorted((ROOT / floor).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes) and node.value.startswith(b"ferryman/")
    ]
    assert {place.partition(":")[0] for place in found} == {"protocol/crypto/domains.py"}
