"""A script as the command line was given it: which of its steps, and the line that runs a case of it again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.case import Case
from ferryman.supervisors.simulation.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Story:
    """A script and the steps of it that are taken, by their numbers; none: all of them. real: with real processes."""

    script: Path
    whole: Scenario
    numbers: tuple[int, ...] = ()
    real: bool = False

    @property
    def scenario(self) -> Scenario:
        if not self.numbers:
            return self.whole
        return self.whole.model_copy(update={"step": tuple(self.whole.step[number - 1] for number in self.numbers)})

    def only(self, steps: str | None) -> Story:
        """Raises BadInput."""
        if steps is None:
            return self
        words, last = steps.split(","), len(self.whole.step)
        if not all(word.isdecimal() and 1 <= int(word) <= last for word in words):
            raise BadInput(f"--steps {steps!r}: wants numbers of the {last} steps of {self.script}, as in 1,{last}")
        return replace(self, numbers=tuple(map(int, words)))

    def fewer(self, kept: tuple[int, ...]) -> Story:
        """Of its own steps, counted from 1, these."""
        own = self.numbers or tuple(range(1, len(self.whole.step) + 1))
        numbers = tuple(own[number - 1] for number in kept)
        return replace(self, numbers=() if len(numbers) == len(self.whole.step) else numbers)

    def again(self, case: Case) -> str:
        steps = f" --steps {','.join(map(str, self.numbers))}" if self.numbers else ""
        return f"ferryman sim run {shlex.quote(str(self.script))} --case {case}{steps}{' --real' if self.real else ''}"
