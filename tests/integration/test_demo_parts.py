"""The demo's own parts on real files: the source, the unpacker, the judge."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec
import pytest

from ferryman.protocol.errors import AppError, BadInput
from ferryman.supervisors.demo.device import printable_note
from ferryman.supervisors.demo.judge import Case, judge, search
from ferryman.supervisors.demo.parcel import Parcel, Unpacker, read_parcel
from ferryman.supervisors.demo.source import PART_BYTES, READ_BYTES, load_source, read_part


def parcels_of(source):
    for file in source.files:
        for index in range(file.parts):
            yield Parcel(file.name, file.size, file.sha256, index, read_part(source.root, file, index))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "source"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "large.bin").write_bytes(os.urandom(2 * PART_BYTES + 7))
    (root / "empty").touch()
    (root / "exact").write_bytes(os.urandom(PART_BYTES))
    (root / "text.txt").write_bytes(b"the quick brown fox jumps over the lazy dog, twice a day\n" * 9)
    return root


@pytest.fixture
def received(folder, tmp_path):
    """A device's folder that got every parcel once."""
    out = tmp_path / "device" / "files"
    unpacker = Unpacker(out)
    for cursor, parcel in enumerate(parcels_of(load_source(str(folder))), start=1):
        unpacker.take(parcel, blob_id=bytes(16), cursor=cursor)
    unpacker.close()
    return out


def case_for(folder, received, *relay_files):
    source = load_source(str(folder))
    files = tuple((file.name, file.sha256) for file in source.files)
    return Case(str(folder), files, (("device B", str(received)),), tuple(map(str, relay_files)))


def test_every_file_is_cut_and_put_together_again(folder, received):
    for file in load_source(str(folder)).files:
        assert (received / file.name).read_bytes() == (folder / file.name).read_bytes()


def test_only_tracked_files_are_taken_when_no_path_is_given(folder, monkeypatch):
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "add", "text.txt", "empty"], check=True)
    monkeypatch.chdir(folder)
    assert {file.name for file in load_source(None).files} == {"text.txt", "empty"}


def test_a_link_is_left_out_and_counted(folder):
    (folder / "link").symlink_to("text.txt")
    source = load_source(str(folder))
    assert source.left_out == 1
    assert "link" not in {file.name for file in source.files}


def test_a_missing_path_is_one_clear_line(tmp_path):
    with pytest.raises(BadInput, match="no such file or folder"):
        load_source(str(tmp_path / "nowhere"))


def test_an_empty_path_is_not_the_folder_one_is_in(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(BadInput, match="PATH is empty"):
        load_source("")


def test_without_a_path_and_without_git_nothing_is_taken(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(BadInput, match=r"git tracks no files here; give a PATH"):
        load_source(None)


def test_a_checkout_that_tracks_nothing_is_not_taken_whole(folder, monkeypatch):
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    monkeypatch.chdir(folder)
    with pytest.raises(BadInput, match=r"git tracks no files here; give a PATH"):
        load_source(None)


def test_the_unpacked_source_of_ferryman_is_its_own_example(folder, monkeypatch):
    (folder / ".venv").mkdir()
    (folder / ".venv" / "python").touch()
    monkeypatch.setattr("ferryman.supervisors.demo.source.OWN_TREE", folder)
    monkeypatch.chdir(folder)
    assert {file.name for file in load_source(None).files} == {"text.txt", "empty", "exact", "deep/large.bin"}


@pytest.mark.parametrize(("name", "limit"), [("MAX_FILES", 3), ("MAX_BYTES", 600_000)])
def test_more_than_the_demo_can_carry_is_refused_before_it_is_read(folder, monkeypatch, name, limit):
    monkeypatch.setattr(f"ferryman.supervisors.demo.source.{name}", limit)
    monkeypatch.setattr("ferryman.supervisors.demo.source.describe", lambda *_: pytest.fail("it was read"))
    with pytest.raises(BadInput, match="too much to carry; the demo takes at most"):
        load_source(str(folder))


def test_a_whole_home_is_not_walked_to_its_end(folder, monkeypatch):
    for number in range(10):
        (folder / f"link {number}").symlink_to("text.txt")
    monkeypatch.setattr("ferryman.supervisors.demo.source.MAX_FILES", 9)
    with pytest.raises(BadInput, match="too much to carry"):
        load_source(str(folder))


def test_what_is_neither_a_file_nor_a_folder_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="neither a file nor a folder"):
        load_source(str(tmp_path / "pipe"))


def test_a_name_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9")).touch()
    with pytest.raises(BadInput, match="the name is not UTF-8"):
        load_source(str(tmp_path))


@pytest.fixture
def closed():
    """A folder of a user without privileges, with a folder in it that even this user may not read."""
    root = Path(tempfile.mkdtemp())
    (root / "shut").mkdir()
    (root / "shut" / "inside.txt").write_text("nobody sees this\n")
    (root / "open.txt").write_text("everybody sees this\n")
    root.chmod(0o755)
    (root / "shut").chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)  # root may read everything
    yield root
    os.seteuid(before)
    (root / "shut").chmod(0o700)
    shutil.rmtree(root)


@pytest.mark.parametrize("path", ["shut", ""], ids=["itself", "a folder in it"])
def test_a_folder_that_may_not_be_read_is_named(closed, path):
    with pytest.raises(BadInput, match=r"shut: cannot be read: permission denied"):
        load_source(str(closed / path))


def test_a_folder_behind_one_that_may_not_be_read_is_named(closed):
    with pytest.raises(BadInput, match=r"inside\.txt: cannot be read: permission denied"):
        load_source(str(closed / "shut" / "inside.txt"))


def test_an_empty_folder_is_one_clear_line(tmp_path):
    with pytest.raises(BadInput, match="holds no files"):
        load_source(str(tmp_path))


def test_a_file_that_vanishes_is_named(folder):
    source = load_source(str(folder))
    (folder / "text.txt").unlink()
    with pytest.raises(BadInput, match=r"text\.txt: vanished"):
        list(parcels_of(source))


def test_a_file_that_shrinks_is_named(folder):
    source = load_source(str(folder))
    (folder / "text.txt").write_bytes(b"short")
    with pytest.raises(BadInput, match=r"text\.txt: became shorter"):
        list(parcels_of(source))


def test_a_parcel_taken_twice_changes_nothing(folder, tmp_path, received):
    unpacker = Unpacker(received)
    for cursor, parcel in enumerate(parcels_of(load_source(str(folder))), start=1):
        unpacker.take(parcel, blob_id=bytes(16), cursor=cursor)
    unpacker.close()
    assert judge(case_for(folder, received), os.urandom).clean


def test_a_journal_that_a_kill_cut_short_is_read_on(folder, received):
    journal = received.parent / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-9])
    unpacker = Unpacker(received)
    unpacker.close()
    assert len(unpacker.seen) == whole.count(b"\n") - 1
    assert journal.read_bytes().endswith(b"\n")


def test_a_parcel_cannot_leave_the_folder(tmp_path):
    unpacker = Unpacker(tmp_path / "device" / "files")
    with pytest.raises(AppError, match="outside"):
        unpacker.take(Parcel("../../evil", 1, "00", 0, b"x"), blob_id=bytes(16), cursor=1)
    unpacker.close()
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", Parcel("x", 5, "00", -1, b"").encode(), Parcel("x", 5, "00", 1, b"").encode()],
    ids=["nothing", "noise", "a part below the first", "a part above the last"],
)
def test_what_is_no_parcel_is_refused(data):
    with pytest.raises(AppError, match="parcel"):
        read_parcel(data)


def test_a_strangers_line_is_cut_and_made_printable():
    assert printable_note("café \x1b[2J\r\n".encode() + b"\xff") == "café \ufffd[2J\ufffd\ufffd\ufffd"
    assert len(printable_note("é".encode() * 1000)) == 200


def test_the_judge_counts_a_changed_file_as_lost(folder, received):
    target = received / "text.txt"
    target.write_bytes(target.read_bytes()[:-1] + b"!")
    assert judge(case_for(folder, received), os.urandom).lost == ("device B: text.txt",)


def test_the_judge_counts_a_missing_file_as_lost(folder, received):
    (received / "empty").unlink()
    assert judge(case_for(folder, received), os.urandom).lost == ("device B: empty",)


def test_the_judge_counts_a_file_that_was_never_sent(folder, received):
    (received / "alien").touch()
    assert judge(case_for(folder, received), os.urandom).extra == ("device B: alien",)


def test_the_judge_counts_a_part_under_two_cursors_as_duplicated(folder, received):
    unpacker = Unpacker(received)
    parcel = next(parcels_of(load_source(str(folder))))
    unpacker.take(parcel, blob_id=bytes(16), cursor=999)
    unpacker.close()
    assert judge(case_for(folder, received), os.urandom).duplicated == (f"device B: {parcel.name} part 0",)


@pytest.mark.parametrize("offset", [0, 5, 1024 * 1024 - 13])
def test_the_judge_finds_plain_text_at_any_offset(folder, received, tmp_path, offset):
    database = tmp_path / "relay.db"
    database.write_bytes(bytes(offset) + (folder / "exact").read_bytes())
    verdict = judge(case_for(folder, received, database), os.urandom)
    assert verdict.found
    assert all("exact" in line for line in verdict.found)


@pytest.mark.parametrize("offset", range(9))
def test_the_judge_finds_a_single_window_however_it_lies_across_words(tmp_path, offset):
    window = bytes(24) + b"\x01\x02\x03\x04\x05\x06\x07\x08"  # one word of substance, the rest is what anything holds
    database = tmp_path / "relay.db"
    database.write_bytes(b"\xff" * offset + window)
    assert list(search(database, {window: "a file"})) == [window]


def test_the_judge_finds_a_window_that_lies_across_two_reads(folder, received, tmp_path):
    secret = (folder / "text.txt").read_bytes()[:32]
    (folder / "text.txt").write_bytes(secret)
    (received / "text.txt").write_bytes(secret)
    database = tmp_path / "relay.db"
    database.write_bytes(bytes(READ_BYTES - 16) + secret + bytes(100))
    assert judge(case_for(folder, received, database), os.urandom).found == (f"{database}: a window of text.txt",)


def test_what_stood_there_before_the_first_device_is_not_found(folder, received, tmp_path):
    database, before = tmp_path / "relay.db", tmp_path / "before.db"
    before.write_bytes((folder / "text.txt").read_bytes())
    database.write_bytes((folder / "text.txt").read_bytes() + (folder / "exact").read_bytes())
    case = msgspec.structs.replace(case_for(folder, received, database), before=(str(before),))
    found = judge(case, os.urandom).found
    assert found
    assert all("exact" in line for line in found)


def test_the_judge_finds_nothing_in_noise(folder, received, tmp_path):
    database = tmp_path / "relay.db"
    database.write_bytes(os.urandom(100_000))
    verdict = judge(case_for(folder, received, database), os.urandom)
    assert verdict.found == ()
    assert verdict.windows > 64
