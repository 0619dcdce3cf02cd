"""docs/cli.md: every command and option there is, and what it shows is what one sees."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ferryman.supervisors.cli import main
from tests.fakes.command_line import FERRYMAN, end, holder, wait_for

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^## ferryman (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
OF_ALL = {"--home", "--json", "--help"}
OTHERS = {"relay", "sim", "ledger", "demo", "demo-device", "demo-judge", "--help", "-h", "--version"}
CODE = re.compile(r"[0-9A-Z]{4}(-[0-9A-Z]{4}){3}")
CHANGING = [
    (r"\b[0-9a-f]{32}\b", "BLOB"),
    (r"\b[0-9a-f]{8}\b", "ID"),
    (r"[A-Za-z0-9+/]{43}= \(.*\)", "DEVICE"),
    (r"[A-Za-z0-9+/]{43}=", "DEVICE"),
    (r"(?<=from )[A-Za-z0-9+/]{8}$", "SENDER"),
    (CODE.pattern, "CODE"),
    (r"invite=\S+", "INVITE"),
    (r'"timestamp": \d+', "TIME"),
    (r"for (a moment|\d+ seconds?)", "for AGE"),
    (r"home     .*/", "home HERE/"),
    (r"\S*/(laptop,|again:)", r"HERE/\1"),
    (r"[\d.]+ KB; its keys", "SIZE; its keys"),
    (r"[\d-]{10} [\d:]{5} UTC", "TIME"),
    (r"[\d,]+ (records|MiB)", r"COUNT \1"),
    (r"ws://127.0.0.1:\d+", "RELAY"),
]  # fmt: skip


def leveled(text):
    """The text without what is another one each time."""
    for pattern, name in CHANGING:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text


def test_the_page_has_every_command_of_a_device_and_no_other():
    assert set(SECTIONS) == {name for name in main.app if name not in OTHERS}


@pytest.mark.parametrize("command", sorted(SECTIONS))
def test_each_command_names_its_options_all_of_them(command):
    shown = subprocess.run([*FERRYMAN, command, "--help"], capture_output=True, text=True, check=True).stdout
    real = set(re.findall(r"(?<=│ )[* ]*(--[a-z-]+)", shown))
    told = set(re.findall(r"^\| `(--[a-z-]+)`", SECTIONS[command], re.MULTILINE))
    assert {option.strip() for option in real} - OF_ALL == told
    assert "```console" in SECTIONS[command] or "example is above" in SECTIONS[command]


def test_what_the_page_shows_is_what_one_sees(shell, relay, monkeypatch):
    """Everything but the last, which only Ctrl-C ends, as one story."""
    monkeypatch.setenv("FERRYMAN_PASSPHRASE", "aye")
    monkeypatch.setattr("ferryman.supervisors.runtime.find_os_backend", lambda: None)
    (shell.folder / "note.txt").write_bytes(b"Buy bread\n")
    (shell.folder / "photo.jpg").write_bytes(os.urandom(84_213))
    (shell.folder / "video.mp4").write_bytes(bytes(2_000_000))
    examples = "".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL))
    story = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", examples, re.MULTILINE)
    code = blob = ""
    for line, shown in story:
        typed = re.sub(r"(?<=trust )\S+", relay.key, line.replace("ws://127.0.0.1:8080", relay.url))
        typed = re.sub(r"(?<=drop )\S+", blob, typed)
        if " watch " in line:
            with holder(shell.folder, *shlex.split(typed)[1:]) as watching:
                wait_for(watching, "connected\n")
                assert leveled(wait_for(watching, "is there")) in leveled(shown)
                assert leveled(wait_for(watching, "received/")) in leveled(shown)
                assert end(watching) == 0
            continue
        if "| ferryman" in typed:
            archive = bytes(10_240)
            done = shell.process(*shlex.split(typed.partition("| ferryman ")[2]), stdin=archive)
        else:
            done = shell.run(*shlex.split(CODE.sub(code, typed))[1:])
        assert leveled(done.out + done.err) == leveled(shown), line
        given = CODE.search(done.out)
        code = given[0] if given else code
        queued = re.search(r"blob ([0-9a-f]{8})", done.out)
        blob = queued[1] if queued else blob
