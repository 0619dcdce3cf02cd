"""The parts of the command line: where a home is, its settings, the folder of blobs, words, exit codes."""

import contextlib
import json
import os
import tomllib
from pathlib import Path

import pytest

from ferryman.protocol.errors import AppError, BadInput
from ferryman.supervisors.cli import folder as folders
from ferryman.supervisors.cli import main
from ferryman.supervisors.cli.folder import Folder
from ferryman.supervisors.cli.home import find_home, with_plain_keys_allowed
from ferryman.supervisors.cli.words import number, size, span, table

ID = "1a2b3c4d" + "0" * 24


# --- where a home is


@pytest.mark.parametrize(
    ("given", "environment", "platform", "home"),
    [
        ("/x", {"FERRYMAN_HOME": "/y", "XDG_DATA_HOME": "/z"}, "linux", "/x"),
        (None, {"FERRYMAN_HOME": "/y", "XDG_DATA_HOME": "/z"}, "linux", "/y"),
        (None, {"XDG_DATA_HOME": "/z"}, "linux", "/z/ferryman/device"),
        (None, {"XDG_DATA_HOME": "relative"}, "linux", "/me/.local/share/ferryman/device"),
        (None, {}, "linux", "/me/.local/share/ferryman/device"),
        (None, {}, "darwin", "/me/Library/Application Support/Ferryman/device"),
        ("~/d", {}, "linux", "/me/d"),
    ],
)
def test_the_option_comes_before_the_variable_before_the_platforms_place(
    monkeypatch, given, environment, platform, home
):
    monkeypatch.setenv("HOME", "/me")
    found = find_home(None if given is None else Path(given), environment, platform)
    assert str(found) == home


# --- its settings


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[keys]",
        "[keys]\n",
        "[keys]\nuse_os_keychain = false\n",
        "[keys]\nallow_plain = false\n[sync]\npad_blobs = false",
        '[sync]\ndevice_name = "laptop"  # mine\n',
        '[sync]\ndevice_name = "laptop"',
        "[ keys ]\nuse_os_keychain = false\n",
        '["keys"]\nuse_os_keychain = false\n[sync]\n',
        "keys.use_os_keychain = false\n[sync]\n",
        "keys.allow_plain = false\n",
        "keys = {}\n",
        "keys = { allow_plain = true }\n",
        'sync.device_name = """\n[keys]\n"""\n',
        "[keys]\r\nuse_os_keychain = false\r\n",
    ],
)
def test_plain_keys_are_allowed_and_everything_else_stays_or_it_is_refused(text):
    before = tomllib.loads(text)
    before.setdefault("keys", {})["allow_plain"] = True
    try:
        after = with_plain_keys_allowed(text)
    except BadInput:
        after = ""
    assert after or text == "keys = {}\n", "it is refused"
    assert not after or tomllib.loads(after) == before
    assert "# mine" in after or "# mine" not in text


# --- the folder


def test_nothing_is_overwritten_and_the_same_blob_finds_its_file(tmp_path):
    with Folder(tmp_path / "in") as folder:
        first = folder.store(42, ID, b"ahoy")
        assert first.name == "00000042-1a2b3c4d"
        assert folder.store(42, ID, b"ahoy") == first
        other = folder.store(42, ID, b"oyha")
        assert other.name == "00000042-1a2b3c4d-2"
        assert (first.read_bytes(), other.read_bytes()) == (b"ahoy", b"oyha")
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == [first.name, other.name]


def test_a_draft_that_a_killed_command_left_is_taken_over(tmp_path):
    (tmp_path / ".00000042-1a2b3c4d.draft").write_bytes(b"half of someth")
    with Folder(tmp_path) as folder:
        assert folder.store(42, ID, b"something").read_bytes() == b"something"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_in_the_way_is_neither_followed_nor_replaced(tmp_path):
    (tmp_path / "theirs").write_bytes(b"theirs")
    for name in ("00000042-1a2b3c4d", ".00000042-1a2b3c4d.draft"):
        (tmp_path / name).symlink_to(tmp_path / "theirs")
    with Folder(tmp_path) as folder:
        assert folder.store(42, ID, b"ours").name == "00000042-1a2b3c4d-2"
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_a_folder_that_is_swapped_for_a_link_leads_nothing_elsewhere(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with Folder(tmp_path / "in") as folder:
        (tmp_path / "in").rename(tmp_path / "ours")
        (tmp_path / "in").symlink_to(theirs)
        for data in (b"ahoy", b"oyha"):
            with contextlib.suppress(BadInput):
                folder.store(42, ID, data)
    assert not list(theirs.iterdir())
    assert len(list((tmp_path / "ours").iterdir())) == 2


def test_a_pipe_in_the_way_holds_up_nobody(tmp_path):
    os.mkfifo(tmp_path / "00000042-1a2b3c4d")
    with Folder(tmp_path) as folder:
        assert folder.store(42, ID, b"ours").name == "00000042-1a2b3c4d-2"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "in").write_bytes(b"ahoy")
    with pytest.raises(BadInput, match="is a file; --out names a directory"):
        Folder(tmp_path / "in")


def test_one_process_at_a_time_writes_into_a_folder(tmp_path):
    with Folder(tmp_path), pytest.raises(BadInput, match="another ferryman"):
        Folder(tmp_path)
    Folder(tmp_path).close()


def test_a_file_system_without_links_overwrites_nothing_either(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(folders.os, "link", refuse)
    with Folder(tmp_path) as folder:
        assert folder.store(1, ID, b"ahoy").name == "00000001-1a2b3c4d"
        assert folder.store(1, ID, b"oyha").name == "00000001-1a2b3c4d-2"


def test_a_blob_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    steps = []
    real_link, real_sync = os.link, os.fsync
    monkeypatch.setattr(folders.os, "fsync", lambda fd: (steps.append("fsync"), real_sync(fd)))
    monkeypatch.setattr(folders.os, "link", lambda *names, **how: (steps.append("link"), real_link(*names, **how)))
    with Folder(tmp_path) as folder:
        folder.store(1, ID, b"ahoy")
    assert steps == ["fsync", "link", "fsync"], "the file, its name, the folder that holds the name"


# --- words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 KB"), (99_949, "99.9 KB"), (99_950, "100 KB"), (999_499, "999 KB"),
     (999_500, "1.0 MB"), (3_000_000_000_000_000, "3000 TB")],
)  # fmt: skip
def test_a_size_has_three_digits_at_most_where_it_can(count, words):
    assert size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "a moment"), (1, "1 second"), (59, "59 seconds"), (89, "1 minute"), (599, "10 minutes"), (7_300, "2 hours"),
     (86_400, "1 day")],
)  # fmt: skip
def test_a_span_is_said_as_a_person_would(seconds, words):
    assert span(seconds) == words


def test_columns_stand_below_each_other():
    assert table([("a", "bb", "c"), ("aa", "b", "cc")]) == "a   bb  c\naa  b   cc"
    assert number(1, "blob") + number(1_000, "blob") == "1 blob1,000 blobs"


# --- how a command ends


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("no"), 2),
        (AppError("no", code="OFFLINE"), 1),
        (AppError("no", code="HOLDER_ENDED"), 1),
        (AppError("no", code="KEYCHAIN_LOCKED"), 2),
        (AppError("what a part of another process said"), 2),
        (FileNotFoundError(2, "No such file or directory", "x"), 2),
        (ValueError("a secret"), 1),
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("", [ExceptionGroup("", [BadInput("no")]), KeyboardInterrupt()]), 130),
        (ExceptionGroup("", [ValueError("a secret"), BadInput("no")]), 1),
    ],
)
def test_each_end_has_its_code_one_line_and_no_traceback(capsys, error, code):
    for as_json in (False, True):
        assert main.leave(error, as_json=as_json) == code
        said = capsys.readouterr().err
        assert "secret" not in said
        assert "Traceback" not in said
        assert len(said.splitlines()) == (0 if code == 130 else 1)
        if as_json and said:
            assert json.loads(said)["type"] == "error"
