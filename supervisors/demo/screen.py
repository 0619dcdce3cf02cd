"""What a person sees of the demo: the story line by line, bars on a terminal, the invite, the table at the end."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import segno
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ferryman.supervisors.demo.judge import Verdict, printable

LIST_LIMIT = 5


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


class Screen:
    """Writes to stdout; bars only where a terminal can show them."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._started = trio.current_time()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def tell(self, text: str) -> None:
        """One line of the story, with the seconds since the start."""
        self.console.print(f"[dim]{trio.current_time() - self._started:6.1f} s[/dim]  {text}")

    def show_invite(self, link: str, short_code: str) -> None:
        """The invite as a person would scan or type it."""
        if self.console.is_terminal:
            art = io.StringIO()
            segno.make(link, error="l").terminal(out=art, compact=True, border=2)
            self.console.out(art.getvalue(), highlight=False)
        self.tell(f"device A shows its invite: a QR code, or the short code [bold]{short_code}[/bold]")

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
        table = Table(title="What arrived, judged from the disk by a process of its own", title_justify="left")
        table.add_column("")
        table.add_column("", justify="right")
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
        self.console.print(table)
        for word, names in (
            ("lost", verdict.lost),
            ("never sent", verdict.extra),
            ("duplicated", verdict.duplicated),
            ("found", verdict.found),
        ):
            if names:
                self.console.print(f"[red]{word}[/red]: {printable(names, LIST_LIMIT)}", markup=True)


def verdict_cell(count: int) -> str:
    return "[green]0[/green]" if count == 0 else f"[red bold]{count:,}[/red bold]"
