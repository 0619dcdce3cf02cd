"""The page that promises what holds an attack names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
PAGE = (FOLDER.parents[1] / "docs" / "threats.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", PAGE)))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=["::".join(name) for name in NAMED])
def test_what_the_page_names_is_a_test(file, test):
    defined = {node.name for node in ast.walk(ast.parse((FOLDER / file).read_text())) if hasattr(node, "name")}
    assert not test or test in defined


def test_every_attack_on_a_live_relay_has_a_row():
    live = {path.name for path in FOLDER.glob("test_live_*.py")}
    assert live
    assert live <= {file for file, _ in NAMED}
