"""Set-up on machines that lack something: one line that says what to install, and nothing half-made."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("venv.sh")
OLD = 'case "$2" in *version_info*) exit 1 ;; *platform*) echo 3.9.18 ;; esac'
BARE = 'case "$2" in *ensurepip*) exit 1 ;; *platform*) echo 3.12.1 ;; esac'
GONE = 'echo "python: command not found" >&2; exit 127'  # what a version manager leaves behind


@pytest.fixture
def machine(tmp_path):
    """A PATH with the few tools of any system, and pythons that say what the test wants."""
    tools, tree = tmp_path / "bin", tmp_path / "project" / "tests" / "tools"
    tools.mkdir()
    tree.mkdir(parents=True)
    shutil.copy(SCRIPT, tree / "venv.sh")
    for tool in ("sh", "dirname", "grep"):
        (tools / tool).symlink_to(shutil.which(tool))

    def set_up(pythons, **environment):
        for name, script in pythons.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)
        done = subprocess.run(
            [tree / "venv.sh"], env={"PATH": str(tools), **environment}, capture_output=True, text=True, check=False
        )
        assert [one.name for one in (tmp_path / "project").iterdir()] == ["tests"], "nothing is left half-made"
        return done.returncode, done.stderr.splitlines()

    return set_up


@pytest.mark.parametrize(
    ("pythons", "said"),
    [
        ({}, "no Python found: install Python 3.11 or newer with venv"),
        ({"python3": OLD}, "Python 3.11 or newer is needed, python3 is 3.9.18: install one"),
        ({"python3": BARE}, "python3 (3.12.1) lacks venv, ensurepip or ssl: install them"),
        ({"python3.12": BARE, "python3": OLD}, "python3.12 (3.12.1) lacks venv"),
        ({"python3.13": GONE, "python3": BARE}, "python3 (3.12.1) lacks venv"),
    ],
)
def test_what_is_missing_is_said_in_one_line(machine, pythons, said):
    code, lines = machine(pythons)
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith(f"ferryman: {said}")


def test_a_python_that_was_named_is_the_only_one_looked_at(machine):
    code, lines = machine({"python3.11": "exit 0", "old": OLD}, PYTHON="old")
    assert (code, len(lines)) == (1, 1)
    assert "old is 3.9.18" in lines[0]


def test_a_named_python_that_is_not_there_is_named_again(machine):
    assert machine({}, PYTHON="/nowhere/python3") == (1, [
        "ferryman: no Python found at /nowhere/python3: install Python 3.11 or newer with venv "
        "(Debian, Ubuntu: apt install python3-venv; macOS: brew install python)"
    ])  # fmt: skip


def test_a_python_that_cannot_make_one_after_all_is_named(machine):
    """It has everything by its own account, and fails when asked."""
    code, lines = machine({"python3": 'case "$1" in -m) exit 1 ;; esac; case "$2" in *platform*) echo 3.11.2 ;; esac'})
    assert code == 1
    assert lines[-1] == "ferryman: python3 could not make a virtual environment in .venv"
