"""The README is true: its lines of Python run as they stand, beside a relay as it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.child import child, listening

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def relay(tmp_path):
    """`ferryman relay` as a process. Yields its URL."""
    command = [sys.executable, "-m", "ferryman", "relay", "--bind", "127.0.0.1:0", "--database", tmp_path / "relay.db"]
    with child(*command, "--stop-with-stdin", stderr=subprocess.DEVNULL) as process:
        yield f"ws://127.0.0.1:{listening(process)['port']}"


def test_the_lines_of_python_in_the_readme_sync_two_devices(relay, tmp_path):
    [program] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in program.splitlines() if line]) <= 10
    address = "ws://127.0.0.1:8080"
    assert program.count(address) == 1
    assert address.removeprefix("ws://") in README.replace(program, ""), (
        "the relay is started where the lines look for it"
    )
    done = subprocess.run(
        [sys.executable, "-c", program.replace(address, relay)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "b'ahoy'\n"), done.stderr


def test_the_readme_fits_on_a_screen_and_a_bit():
    assert len(README.splitlines()) <= 50


def test_every_file_that_the_readme_links_to_is_there():
    links = [one for one in re.findall(r"\]\(([^)]+)\)", README) if not one.startswith("http")]
    assert [one for one in links if not (ROOT / one).is_file()] == []


def test_every_make_target_that_the_texts_name_exists():
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {target for path in texts for target in re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(), re.MULTILINE)}
    made = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= made
