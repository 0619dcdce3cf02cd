"""Processes of tests: whoever waits for one waits so long and no longer, and it is gone at the end of its block.

with child(sys.executable, "-c", program) as process:     pipes for its input and output
    line = process.stdout.readline()                      b"" once it has ended, which it does when its time is up
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE_SECONDS = 60.0  # of a machine that does other things as well; less than the suite's patience with a test
LIFETIME_SECONDS = 100.0


@contextmanager
def child(*command: object, **options: Any) -> Iterator[subprocess.Popen]:
    """`options` of Popen. It is killed after LIFETIME_SECONDS, so that no read of its pipes and no wait is for ever."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([str(word) for word in command], **{**pipes, **options})
    with ended_after(process, LIFETIME_SECONDS):
        try:
            yield process
        finally:
            kill(process)


@contextmanager
def ended_after(process: subprocess.Popen, seconds: float) -> Iterator[None]:
    """Killed if the block is not over by then."""
    limit = threading.Timer(seconds, process.kill)
    limit.start()
    try:
        yield
    finally:
        limit.cancel()


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:  # what was written last, it did not read
                continue


def listening(process: subprocess.Popen) -> dict[str, Any]:
    """What a relay says when it listens; one that says nothing is killed."""
    assert process.stdout is not None
    try:
        with ended_after(process, PATIENCE_SECONDS):
            line = process.stdout.readline()
        assert line, "the relay ended before it listened"
        return json.loads(line)
    except BaseException:
        kill(process)
        raise
