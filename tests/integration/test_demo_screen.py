"""What the demo draws, at the sizes that terminals have."""

import io

import pytest
from rich.console import Console

from ferryman.supervisors.demo.judge import Verdict
from ferryman.supervisors.demo.screen import Outcome, Screen

LINK = "ferryman://join?" + "x" * 290
OUTCOME = Outcome(385, 2_211_476, 385, 194, 3, 29.5, Verdict((), (), (), 23_113, 123_456_789))
SIZES = [(100, 40), (80, 24), (60, 20)]


def screen_of(width, height, *, terminal=True):
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=width, height=height, color_system=None, soft_wrap=True
    )
    return Screen(console)


def lines_of(screen):
    return screen.console.file.getvalue().splitlines()


@pytest.fixture(autouse=True)
def _time_stands_still(autojump_clock):
    """So that every line is told at 0.0 s, however busy the machine is."""


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_the_table_has_neither_a_blank_row_nor_a_broken_one(width, height):
    screen = screen_of(width, height)
    screen.show_outcome(OUTCOME)
    title, top, *rows, bottom = lines_of(screen)
    assert title.startswith("Judged from the disk")
    assert (top[0], bottom[0]) == ("┌", "└")
    assert [row.split("│")[1].strip().split()[0] for row in rows] == (
        ["files", "bytes", "blobs", "unacknowledged", "reconnects", "lost", "duplicated", "plain", "windows", "seconds"]
    )
    assert {len(line) for line in (top, *rows, bottom)} == {len(top)}


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_a_line_of_the_story_is_wrapped_at_words_beside_its_time(width, height):
    screen = screen_of(width, height)
    screen.tell("the relay was killed " + "and everybody waited for a while " * 5)
    first, *others = lines_of(screen)
    assert max(map(len, (first, *others))) <= width
    assert first.startswith("   0.0 s  the relay was killed")
    assert others
    assert all(line.startswith(" " * 10) and line[10] != " " for line in others)


async def test_in_a_pipe_a_line_of_the_story_is_one_line():
    screen = screen_of(80, 24, terminal=False)
    screen.tell("a long line " * 30)
    assert len(lines_of(screen)) == 1


async def test_a_qr_code_that_fits_is_shown_whole():
    screen = screen_of(100, 40)
    screen.show_invite("device A's", LINK, "ABCD-EFGH-JKMN-PQRS")
    *code, words = lines_of(screen)
    assert len(code) > 20
    assert len({len(line) for line in code}) == 1
    assert words.endswith("device A's invite: short code ABCD-EFGH-JKMN-PQRS")


@pytest.mark.parametrize(("width", "height"), [(60, 60), (100, 24)])
async def test_a_qr_code_that_does_not_fit_is_one_line_that_says_so(width, height):
    screen = screen_of(width, height)
    screen.show_invite("device A's", LINK, "ABCD-EFGH-JKMN-PQRS")
    said = lines_of(screen)
    assert len(said) == 2
    assert "the QR code needs a terminal of" in said[0]
    assert "ABCD-EFGH-JKMN-PQRS" in said[1]


async def test_a_qr_code_that_the_next_lines_would_push_away_is_left_out():
    screen = screen_of(100, 40)
    screen.show_invite("the note book's", LINK, "ABCD-EFGH-JKMN-PQRS", lines_below=20)
    assert "the QR code needs a terminal of" in lines_of(screen)[0]


async def test_a_command_is_never_broken():
    screen = screen_of(60, 20)
    screen.show_command("ferryman ledger verify " + "/a/long/folder" * 9)
    assert len(lines_of(screen)) == 1
