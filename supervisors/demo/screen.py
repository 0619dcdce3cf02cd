"""What a person sees of the demo: the story line by line, bars on a terminal, the invite, the table at the end.

In a pipe every line of the story is one line, whatever its length; on a terminal it is wrapped beside its time.
"""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import segno
import trio
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ferryman.supervisors.demo.judge import Verdict, printable

LIST_LIMIT = 5
LINES_BESIDE_QR = 2  # the line that names the short code, and the cursor's


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one run."""

    files: int
    bytes: int
    blobs: int
    unacknowledged_at_kill: int
    reconnects: int
    seconds: float
    verdict: Verdict


class Terminal(Console):
    """A console that says when nobody reads it any more, where rich's own would end the process on the spot."""

    def on_broken_pipe(self) -> None:
        raise  # the BrokenPipeError that rich is handling as it calls this


class Screen:
    """Writes to stdout; bars only where a terminal can show them. Raises BrokenPipeError when nobody reads it."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Terminal(highlight=False, soft_wrap=True)
        self._started = trio.current_time()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def tell(self, text: str) -> None:
        """One line of the story, with the seconds since the start. `text` may hold rich markup."""
        time = f"[dim]{trio.current_time() - self._started:6.1f} s[/dim]"
        if not self.console.is_terminal:
            self.console.print(f"{time}  {text}")
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(time, text)
        self.console.print(grid, soft_wrap=False)

    def say(self, text: str = "") -> None:
        """Words without a time."""
        self.console.print(text, soft_wrap=not self.console.is_terminal)

    def show_command(self, command: str) -> None:
        """A line for a shell: never broken by us, so that it can be copied."""
        self.console.print(f"  {command}", soft_wrap=True, markup=False)

    def show_invite(self, whose: str, link: str, short_code: str, *, lines_below: int = LINES_BESIDE_QR) -> None:
        """The invite as a person would scan or type it. A QR code that would be broken, or be pushed off the screen by
        the `lines_below` that follow at once, is left out."""
        code = segno.make(link, error="l")
        art = io.StringIO()
        code.terminal(out=art, compact=True, border=2)
        lines = art.getvalue().splitlines()
        width, height = max(map(len, lines)), len(lines) + lines_below
        if self.console.is_terminal:
            if self.console.width >= width and self.console.height >= height:
                self.console.out(art.getvalue().rstrip("\n"), highlight=False)
            else:
                self.tell(f"[dim](the QR code needs a terminal of {width} x {height} or more)[/dim]")
        self.tell(f"{whose} invite: short code [bold]{short_code}[/bold]")

    @contextmanager
    def bars(self) -> Generator[None, None, None]:
        """While the block runs, `advance` draws one bar a name."""
        if not self.console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None
                self._tasks.clear()

    def advance(self, name: str, done: int, total: int) -> None:
        if self._progress is None:
            return
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], completed=min(done, total))

    def show_outcome(self, outcome: Outcome) -> None:
        verdict = outcome.verdict
        table = Table(title="Judged from the disk by a process of its own", title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right", no_wrap=True)
        rows = (
            ("files", f"{outcome.files:,}"),
            ("bytes", f"{outcome.bytes:,}"),
            ("blobs", f"{outcome.blobs:,}"),
            ("unacknowledged at the kill", f"{outcome.unacknowledged_at_kill:,}"),
            ("reconnects", f"{outcome.reconnects:,}"),
            ("lost", verdict_cell(len(verdict.lost) + len(verdict.extra))),
            ("duplicated", verdict_cell(len(verdict.duplicated))),
            (f"plain text found in {verdict.searched_bytes:,} relay bytes", verdict_cell(len(verdict.found))),
            ("windows searched for", f"{verdict.windows:,}"),
            ("seconds", f"{outcome.seconds:.1f}"),
        )
        for name, value in rows:
            table.add_row(name, value)
        self.console.print(table, soft_wrap=False)
        for word, names in (
            ("lost", verdict.lost),
            ("never sent", verdict.extra),
            ("duplicated", verdict.duplicated),
            ("found", verdict.found),
        ):
            if names:
                self.console.print(f"[red]{word}[/red]: {escape(printable(names, LIST_LIMIT))}")


def verdict_cell(count: int) -> str:
    return "[green]0[/green]" if count == 0 else f"[red bold]{count:,}[/red bold]"
