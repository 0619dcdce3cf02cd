"""One name for each module, one place for the version, and every tool sees each file once."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import coverage

import ferryman
from ferryman.version import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FLOORS = ("actors", "protocol", "supervisors")

IMPORT_ALL = """
import importlib, json, pkgutil, sys
import ferryman
names = [one.name for one in pkgutil.walk_packages(ferryman.__path__, "ferryman.") if one.name != "ferryman.__main__"]
for name in names:
    importlib.import_module(name)
print(json.dumps({"names": names, "loaded": sorted(sys.modules)}))
"""


def product_files():
    found = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    return sorted([*found, *(ROOT / "src" / "ferryman").glob("*.py")])


def python(*arguments, cwd=ROOT):
    return subprocess.run([sys.executable, *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_importing_everything_makes_no_second_copy_of_a_floor():
    seen = json.loads(python("-c", IMPORT_ALL))
    assert [name for name in FLOORS if name in seen["loaded"]] == []
    assert len(seen["names"]) == len(product_files()) - 2, (
        "each file but ferryman's own __init__ and __main__ is a module"
    )


def test_the_modules_come_from_this_tree_and_not_from_a_copy():
    assert Path(ferryman.__file__).is_relative_to(ROOT)


def test_the_version_stands_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/ferryman/version.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_ruff_sees_each_file_once():
    shown = python("-m", "ruff", "check", "--show-files").splitlines()
    product = [
        Path(line).resolve() for line in shown if line.endswith(".py") and not line.startswith(str(ROOT / "tests"))
    ]
    assert len(product) == len(set(product))
    assert set(product_files()) <= set(product)


def test_pyright_reads_each_file_once():
    """Its list, expanded: no floor through its link, none left out, the shop window's own files and the examples."""
    listed = [path for entry in PROJECT["tool"]["pyright"]["include"] for path in sorted(ROOT.glob(entry))]
    read = [file for path in listed for file in (path.rglob("*.py") if path.is_dir() else [path])]
    assert sorted(read) == sorted([*product_files(), *(ROOT / "examples").glob("*.py")])
    assert not any(path.is_symlink() for path in listed)


def test_coverage_measures_each_file_once(tmp_path):
    (tmp_path / "run.py").write_text("import ferryman.actors.real_ports, ferryman.protocol.machine")
    python("-m", "coverage", "run", "--rcfile=pyproject.toml", f"--data-file={tmp_path / 'data'}", tmp_path / "run.py")
    measured = coverage.Coverage(data_file=tmp_path / "data", config_file=str(ROOT / "pyproject.toml"))
    measured.load()
    files = [Path(one) for one in measured.get_data().measured_files()]
    assert len(files) == len({one.resolve() for one in files})
    assert {ROOT / "actors/real_ports.py", ROOT / "protocol/machine.py"} <= set(files)
    assert not any("src/ferryman/actors" in str(one) for one in files)


def test_the_wheel_takes_every_file_of_the_shop_window():
    for target in ("wheel", "sdist"):
        taken = PROJECT["tool"]["hatch"]["build"]["targets"][target]["only-include"]
        own = {path.relative_to(ROOT).as_posix() for path in (ROOT / "src" / "ferryman").iterdir() if path.is_file()}
        assert own <= set(taken)
        assert set(FLOORS) <= set(taken)


def test_no_file_names_the_host_of_a_registry():
    """Where packages come from is the machine's to say."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    names = [line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    hosts = [b"py" + b"pi.org", b"python" + b"hosted.org", b"registry." + b"npm"]
    assert [name for name in names for host in hosts if host in (ROOT / name).read_bytes()] == []
