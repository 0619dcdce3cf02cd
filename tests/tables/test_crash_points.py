"""Every crash point of the product stands in the table that people read, and the table names none that is gone."""

import re
from pathlib import Path

from ferryman.actors.core.crash_points import POINTS

ROOT = Path(__file__).parents[2]
CALL = re.compile(r'crash_point\("([a-z.]+)"\)')


def test_the_table_of_crash_points_is_the_points_of_the_code():
    sources = [path for floor in ("actors", "supervisors") for path in sorted((ROOT / floor).rglob("*.py"))]
    table = ROOT / "actors" / "core" / "crash_points.py"
    passed = {name for path in sources if path != table for name in CALL.findall(path.read_text())}
    assert passed == set(POINTS)


def test_a_crash_point_is_always_named_by_a_literal():
    calls = re.compile(r"\bcrash_point\((?!\"[a-z.]+\"\))")
    known = ROOT / "actors" / "core" / "crash_points.py"
    sources = [path for floor in ("actors", "supervisors") for path in (ROOT / floor).rglob("*.py") if path != known]
    assert [str(path) for path in sources if calls.search(path.read_text())] == []
