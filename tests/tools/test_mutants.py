"""The runner of planted bugs, on a project of one file: what counts as caught, and what never may."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.mutants import Mutant, check

ROOT = Path(__file__).resolve().parents[2]

LAW = """
def add(a, b):
    total = a + b
    assert isinstance(total, int)
    return total
"""
TESTS = """
import time
import pytest
import ferryman
from ferryman.actors.law import add


def test_adds():
    assert add(2, 3) == 5


def test_adds_in_a_group():
    try:
        assert add(2, 3) == 5
    except AssertionError as error:
        raise ExceptionGroup("as a nursery does", [error]) from None


def test_refuses_text():
    with pytest.raises(TypeError):
        add(2, "3")


@pytest.mark.parametrize("n", [0, 1])
def test_adds_many(n):
    assert add(n, 3) == n + 3


def test_adds_to_a_number():
    assert add(2, 3).bit_length() == 3


def test_fails_anyway():
    assert add(2, 2) == 5
"""
BUGS = {
    # name: (find, replace, test, outcome)
    "wrong sum": ("a + b", "a - b", "test_adds", "caught"),
    "wrong sum in a group": ("a + b", "a - b", "test_adds_in_a_group", "caught"),
    "wrong sum in one case": ("a + b", "a + b + a", "test_adds_many", "caught"),
    "an expected error that does not come": ("total = a + b", "total = 1", "test_refuses_text", "caught"),
    "no difference": ("a + b", "b + a", "test_adds", "survived"),
    "an exception": ("a + b", "a + c", "test_adds", "crashed"),
    "an exception in the test": ("return total", "return None", "test_adds_to_a_number", "crashed"),
    "an import error": ("def add(", "def plus(", "test_adds", "crashed"),
    "an assert of the product": ("a + b", "str(a + b)", "test_adds", "crashed"),
    "a test that fails by itself": ("a + b", "a - b", "test_fails_anyway", "unsound"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    (root / "actors").mkdir()
    (root / "actors" / "law.py").write_text(LAW)
    (root / "src" / "ferryman").mkdir(parents=True)
    (root / "src" / "ferryman" / "__init__.py").write_text("")
    (root / "src" / "ferryman" / "actors").symlink_to("../../actors")
    (root / "tests").mkdir()
    (root / "tests" / "test_law.py").write_text(TESTS)
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--import-mode=importlib -q"\n')
    entries = [
        f"[[mutant]]\nname = {name!r}\nfile = 'actors/law.py'\nfind = {find!r}\nreplace = {replace!r}\n"
        f"test = 'tests/test_law.py::{test}'\n"
        for name, (find, replace, test, _) in BUGS.items()
    ]
    (root / "tests" / "mutants.toml").write_text("\n".join(entries))
    return root


@pytest.fixture(scope="module")
def run_of_all(project):
    return run(project, "--verbose")


def run(project, *arguments):
    command = [sys.executable, "-m", "tests.tools.mutants", "--root", project, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_caught_only_by_an_assertion_of_its_test(run_of_all, name):
    outcome = BUGS[name][3]
    said = [line for line in run_of_all.stdout.splitlines() if line.endswith(f": {name}")]
    assert said == ([] if outcome == "caught" else [f"{outcome}: {name}"]), run_of_all.stdout


def test_the_run_fails_when_one_bug_is_not_caught_and_says_how_many(run_of_all):
    assert run_of_all.returncode == 1
    assert f"{len(BUGS)} planted bugs, 4 caught, 6 not" in run_of_all.stdout


def test_the_run_passes_when_all_are_caught_and_leaves_the_tree_alone(project):
    done = run(project, "--only", "wrong sum")
    assert (done.returncode, "3 planted bugs, 3 caught, 0 not" in done.stdout) == (0, True), done.stdout
    assert (project / "actors" / "law.py").read_text() == LAW


def test_a_spent_budget_is_said_and_starts_nothing(project):
    done = run(project, "--only", "wrong sum", "--budget", "0")
    assert "3 not run: the budget of 0 s was spent" in done.stdout


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"find": "nowhere"}, "stands 0 times"),
        ({"find": "total"}, "stands 3 times"),
        ({"file": "actors/gone.py"}, "no file"),
        ({"test": "tests/test_law.py::test_gone"}, "no test"),
        ({"replace": "a +"}, "no Python any more"),
        ({"replace": "a + b"}, "by itself"),
    ],
)
def test_an_entry_that_does_not_fit_is_named_before_anything_runs(project, change, complaint):
    fitting = {"name": "x", "file": "actors/law.py", "find": "a + b", "replace": "a", "source": "tests/mutants.toml"}
    fitting["test"] = "tests/test_law.py::test_adds_many[1]"
    assert check(project, [Mutant(**fitting)]) == []
    problems = check(project, [Mutant(**fitting | change)])
    assert [complaint in problem for problem in problems] == [True]


def test_two_entries_of_one_name_are_refused(project):
    one = Mutant("x", "actors/law.py", "a + b", "a", "tests/test_law.py::test_adds", "tests/mutants.toml")
    assert check(project, [one, one]) == ["x: 2 entries have this name"]
