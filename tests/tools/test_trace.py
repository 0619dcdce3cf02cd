"""The trace reads what stands at the tests, and refuses what says nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.trace import Mark, connect, page, read_marks, read_reasons, read_requirements, summary, unproved
from tests.tools.wire_rules import SECTIONS, Requirement, read_wire_rules

ROOT = Path(__file__).resolve().parents[2]
KNOWN = [Requirement("S4-01", "1", "invariant"), Requirement("S4-02", "1", "API"), Requirement("S4-03", "2", "limit")]
RULES = [
    Requirement("W1-01", "§1", "invariant", "One | two, in `a_b`."),
    Requirement("W10-01", "§10", "limit", "At most three."),
]

MARKED = """
import pytest

CASES = [pytest.param(1, marks=pytest.mark.req("S4-02")), 2]
ROWS = {"one": "S4-03", "two": None}


@pytest.mark.req("S4-01")
def test_plain():
    pass


@pytest.mark.parametrize("case", CASES)
async def test_cases_in_a_table(case):
    pass


@pytest.mark.parametrize("row", [pytest.param(row, marks=pytest.mark.req(row)) for row in ROWS.values()])
def test_computed(row):
    pass


class TestTogether:
    @pytest.mark.req("S4-01", "S4-02")
    def test_method(self):
        pass
"""


@pytest.fixture
def tests_with(tmp_path):
    def write(text):
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "tests" / "test_it.py").write_text(text)
        return tmp_path

    return write


def test_marks_are_found_at_functions_methods_cases_and_tables(tests_with):
    marks, problems = read_marks(tests_with(MARKED))
    assert problems == []
    assert {(mark.test.partition("::")[2], mark.ids) for mark in marks} == {
        ("test_plain", ("S4-01",)),
        ("test_cases_in_a_table", ("S4-02",)),
        ("test_computed", ("S4-03",)),
        ("TestTogether::test_method", ("S4-01", "S4-02")),
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("@pytest.mark.req(WHICH)\ndef test_it(): pass", "no id can be read"),
        ('pytestmark = pytest.mark.req("S4-01")', "whole file"),
    ],
)
def test_a_mark_that_says_nothing_is_refused(tests_with, text, complaint):
    _, problems = read_marks(tests_with(text))
    assert [complaint in problem for problem in problems] == [True]


@pytest.mark.parametrize(
    ("ids", "complaint"),
    [(("S4-99",), "nobody knows"), (("S4-01", "S4-02", "S4-03", "S4-01"), "at most 3")],
)
def test_unknown_ids_and_too_many_of_them_are_problems(ids, complaint):
    _, problems = connect(KNOWN, [Mark("tests/test_it.py::test_it", ids, 1)], {}, frozenset())
    assert [complaint in problem for problem in problems] == [True]


def test_a_settled_invariant_without_a_planted_bug_is_listed():
    marks = [Mark("tests/test_it.py::test_a", ("S4-01", "S4-02"), 1), Mark("tests/test_it.py::test_b", ("S4-03",), 2)]
    trace, _ = connect(KNOWN, marks, {}, frozenset({"tests/test_it.py::test_b"}))
    assert [one.id for one in unproved(trace)] == ["S4-01"]  # S4-02 is of a kind that needs none, S4-03 is proved


def test_a_deviation_is_an_answer_and_its_reason_is_on_the_page(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "deviations.md").write_text(
        "| ids | what holds |\n|---|---|\n| S4-01, S4-02 | twice as much |\n"
    )
    trace, problems = connect(KNOWN, [], read_reasons(tmp_path), frozenset())
    assert problems == []
    assert [trace.state_of(one) for one in KNOWN] == ["otherwise", "otherwise", "open"]
    assert page(trace).count("twice as much") == 2


def test_a_deviation_from_an_unknown_id_is_a_problem():
    assert connect(KNOWN, [], {"S4-99": "?"}, frozenset())[1] == [
        "docs/deviations.md: nobody knows the requirement S4-99"
    ]


def test_the_projects_own_list_holds_every_id_once():
    listed = [line.split("\t")[0] for line in (ROOT / "tests" / "requirements.tsv").read_text().splitlines()[1:]]
    assert len(listed) == len(set(listed)) == 767
    assert [one.id for one in read_requirements(ROOT)] == listed


def test_a_rule_of_the_wire_is_settled_and_proved_like_a_requirement(tests_with):
    text = '@pytest.mark.req("W1-01")\ndef test_it(): pass\n\n@pytest.mark.req("W10-01")\ndef test_other(): pass\n'
    marks, unreadable = read_marks(tests_with(text))
    trace, unknown = connect(KNOWN + RULES, marks, {}, frozenset({"tests/test_it.py::test_it"}))
    assert unreadable + unknown == []
    assert [trace.state_of(one) for one in RULES] == ["settled", "settled"]
    assert [one.id for one in unproved(trace)] == ["W10-01"]


def test_a_row_of_the_deviations_may_begin_with_rules_of_the_wire(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "deviations.md").write_text("| S4-01, W10-01 | twice as much | why |\n| W10 | no id | |\n")
    assert read_reasons(tmp_path) == {"S4-01": "twice as much", "W10-01": "twice as much"}


def test_the_page_has_the_words_of_each_rule_in_the_table_of_its_section_alone():
    trace, _ = connect(KNOWN + RULES, [Mark("tests/test_it.py::test_a", ("W1-01",), 1)], {}, frozenset())
    tables = dict(zip(SECTIONS, page(trace).split("| id | rule | kind | settled by |")[1:], strict=True))
    assert r"| W1-01 | One \| two, in \`a\_b\`. | invariant | `test_it.py::test_a` |" in tables["W1"]
    assert "| W10-01 | At most three. | limit | open |" in tables["W10"]
    assert "W10-01" not in tables["W1"]
    assert "| W1 Transport | 1 | 1 | 0 | 0 |" in page(trace)


def test_the_summary_counts_requirements_and_rules_apart():
    trace, _ = connect(KNOWN + RULES, [Mark("tests/test_it.py::test_a", ("W1-01", "S4-02"), 1)], {}, frozenset())
    assert summary(trace).startswith(
        "3 requirements: 1 settled by 1 tests, 0 held otherwise, 2 open; "
        "2 rules of the wire: 1 settled by 1 tests, 0 held otherwise, 1 open; 1 settled"
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("W5-08\t§5\tlimit", "3 cells"),
        ("W5-08\t§5\tlimit\t", "empty"),
        ("W11-01\t§5\tlimit\tTen.", "no id"),
        ("W5-08\t§5\twish\tTen.", "is none of"),
        ("W5-07\t§5\tlimit\tTen.", "comes after W5-07"),
        ("W4-09\t§4\tlimit\tTen.", "comes after W5-07"),
    ],
)
def test_a_line_of_the_wires_rules_that_is_none_is_a_problem_with_its_number(tmp_path, line, complaint):
    table = tmp_path / "wire_rules.tsv"
    table.write_text(f"id\tsection\tkind\trule\nW5-07\t§5\tlimit\tNine.\n{line}\nW10-01\t§10\tlimit\tTwo.\n")
    rules, problems = read_wire_rules(table)
    assert [one.id for one in rules] == ["W5-07", "W10-01"]
    assert [problem.startswith("wire_rules.tsv:3: ") and complaint in problem for problem in problems] == [True]


def test_a_table_of_rules_with_other_columns_is_a_problem(tmp_path):
    (tmp_path / "wire_rules.tsv").write_text("id\tkind\tsection\trule\n")
    assert len(read_wire_rules(tmp_path / "wire_rules.tsv")[1]) == 1


def test_the_marks_of_this_project_are_in_order():
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.trace", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    problems = [line for line in done.stderr.splitlines() if "run `make trace`" not in line]
    assert problems == []
