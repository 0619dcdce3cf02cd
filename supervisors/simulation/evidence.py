"""What is kept of a run: its page, and its trace as JSONL. Pure: names and texts; who writes them is the command line.

{"format": "ferryman.trace/1", "scenario", "script", "case", "hash", "violations"}       the first line
{"t", "machine", "life", "kind", "what"}                                                 a row of the trace each
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.scenario import Scenario
from ferryman.supervisors.simulation.timeline import page
from ferryman.supervisors.simulation.trace import FORMAT

NAME_AT_MOST = 80  # of a file's 255 characters: the case is not cut, it tells one run's files from another's


def evidence(scenario: Scenario, script: str, outcome: Outcome, again: str) -> Mapping[str, str]:
    """File name -> text. outcome: of a run that kept all its rows."""
    stem = f"{plain(scenario.name)[:NAME_AT_MOST]}-{plain(str(outcome.case))}"
    head = {
        "format": FORMAT,
        "scenario": scenario.name,
        "script": script,
        "case": str(outcome.case),
        "hash": outcome.hash,
        "violations": list(outcome.violations),
    }
    lines = [json.dumps(head, ensure_ascii=False), *(row.json for row in outcome.rows)]
    html = page(
        name=scenario.name,
        about=scenario.about,
        case=str(outcome.case),
        trace_hash=outcome.hash,
        violations=outcome.violations,
        rows=outcome.rows,
        again=again,
    )
    return {f"{stem}.html": html, f"{stem}.jsonl": "\n".join(lines) + "\n"}


def plain(words: str) -> str:
    """A file's name of them, on any file system. `+` and `#` stand for after and before: they stay apart."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", words.replace("+", "-after-")).strip("-")
