"""What follows the demo's table when it is asked to keep: a note book in a group of its own, that anybody may join.

    this terminal --a line--> device D --relay--> your device, and back
                  --Enter---> another invite: each lets one device in and lasts ten minutes

The devices A, B and C run on beside it. Their group is not the note book's: what it carries are parts of files.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import trio
from rich.markup import escape

from ferryman.supervisors.demo.director import DeviceProcess, Stage, create_group, invite_from
from ferryman.supervisors.demo.messages import Heard, Write
from ferryman.supervisors.demo.screen import Screen
from ferryman.supervisors.demo.source import OWN_TREE

NOTE_BOOK = "D"
STDIN = 0
LINES_OF_TEXT = 20  # that follow the invite; a few may be wrapped
LINE_BYTES = 4096  # what a terminal hands over at once, at most


def joining(folder: Path, url: str, code: str) -> tuple[str, ...]:
    """Lines that join the note book with `code`, in another terminal. New commands for it are named here."""
    example = OWN_TREE / "examples" / "embed_in_trio.py"
    home = quoted(folder / "my-device")
    if example.exists():
        return (f"{quoted(Path(sys.executable))} {quoted(example)} {home} {url} {code}",)
    return (f'await runtime.sync.join_invite("{code}", "{url}")  # in a program of yours',)


def looking(folder: Path) -> tuple[str, ...]:
    """Lines that look into a device once it has stopped: a ledger belongs to one process at a time."""
    program = Path(sys.executable).with_name("ferryman")
    ferryman = quoted(program) if program.exists() else f"{quoted(Path(sys.executable))} -m ferryman"
    passphrase = f'FERRYMAN_PASSPHRASE="$(cat {quoted(folder / "passphrase")})"'
    return (f"{passphrase} {ferryman} ledger verify {quoted(folder / 'device-b' / 'home')}",)


async def run_encore(stage: Stage, screen: Screen, passphrase: str) -> None:
    """Until cancelled, by Ctrl-C as a rule."""
    screen.tell("everything runs on; device D opens a note book for you")
    note = stage.folder / "passphrase"
    note.touch(mode=0o600)
    note.write_text(passphrase + "\n")
    book = await stage.start_device(NOTE_BOOK, notes=True)
    book.on_note = lambda heard: show_note(screen, heard)
    await create_group(book, stage.relay_url)
    invited = await invite_from(book)
    screen.say()
    screen.show_invite("the note book's", invited.link, invited.short_code, lines_below=LINES_OF_TEXT)
    explain(stage, screen, invited.short_code)
    await take_lines(book, stage, screen)
    await trio.sleep_forever()


def explain(stage: Stage, screen: Screen, code: str) -> None:
    folder = escape(str(stage.folder))
    screen.say(f"\n[bold]What you can do now[/bold], with the relay at {stage.relay_url} and four devices running:\n")
    screen.say("Join the note book from another terminal on this machine:")
    for command in joining(stage.folder, stage.relay_url, code):
        screen.show_command(command)
    screen.say("or with a device of your own, by that URL and code (for one device, ten minutes).")
    screen.say("A line typed there shows here, and one typed here shows there. Enter alone: another code.\n")
    screen.say(f"The devices' homes are {folder}/device-a/home to device-d/home; what they received is beside them.")
    screen.say("Ctrl-C ends the relay and the devices, and the folder stays. Then look into a ledger:")
    for command in looking(stage.folder):
        screen.show_command(command)
    screen.say()


def show_note(screen: Screen, heard: Heard) -> None:
    screen.tell(f"device D heard from {escape(heard.sender)}: {escape(heard.text)}")


async def take_lines(book: DeviceProcess, stage: Stage, screen: Screen) -> None:
    """Each line typed goes out; an empty one asks for an invite. Ends with standard input."""
    while line := await trio.to_thread.run_sync(read_line, abandon_on_cancel=True):
        if text := line.decode("utf-8", "replace").strip():
            await book.order(Write(text))
        else:
            invited = await invite_from(book)
            screen.tell(f"another device may join by [bold]{invited.short_code}[/bold] at {stage.relay_url}")


def read_line() -> bytes:
    """Not through sys.stdin: a thread that holds its lock at the interpreter's end is fatal. Nothing in the background,
    where reading from the terminal would stop the whole demo."""
    if os.isatty(STDIN) and os.tcgetpgrp(STDIN) != os.getpgrp():
        return b""
    return os.read(STDIN, LINE_BYTES)


def quoted(path: Path) -> str:
    """For a shell, and relative to where the person is when that is shorter."""
    relative = os.path.relpath(path)
    return shlex.quote(min(str(path), relative, key=len) if not relative.startswith("..") else str(path))
