"""Where `ferryman sim run` puts what it has to say."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterable
from pathlib import Path

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.sim_story import Story
from ferryman.supervisors.simulation.evidence import evidence
from ferryman.supervisors.simulation.outcome import Outcome

FOLDER = Path("sim-failures")


class Desk:
    """Where it is all put: words or objects on standard output, pages and traces in a folder."""

    def __init__(self, out: Path | None, *, as_json: bool) -> None:
        self.as_json = as_json
        self.asked_for = out is not None
        self.folder = out or FOLDER

    def say(self, words: Iterable[str]) -> None:
        """For a person."""
        if not self.as_json:
            for line in words:
                print(line)

    def put(self, kind: str, /, **entries: object) -> None:
        """For a program."""
        if self.as_json:
            print(json_text.dumps({"type": kind, **entries}, ensure_ascii=False))

    def keep(self, story: Story, outcome: Outcome) -> list[str]:
        """The page and the trace of a run; where they are. Raises BadInput."""
        files = evidence(story.scenario, str(story.script), outcome, story.again(outcome.case))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (self.folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            where = error.filename or self.folder
            raise BadInput(f"--out {self.folder}: {where}: {error.strerror or error}") from None
        return [str(self.folder / name) for name in files]
