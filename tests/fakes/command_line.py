"""`ferryman` as a person uses it: commands in this process, holders of a device as processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ferryman.supervisors.cli import main
from tests.fakes.child import PATIENCE_SECONDS, child, kill, listening
from tests.fakes.relay_process import write_config

FERRYMAN = [sys.executable, "-m", "ferryman"]


@dataclass(frozen=True)
class Done:
    """raw: standard output as bytes, of a process of its own."""

    code: int
    out: str
    err: str
    raw: bytes = b""

    @property
    def objects(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Runs commands; `home` of each is a directory under `folder`. No command may show a traceback."""

    def __init__(self, folder: Path, capfd, monkeypatch) -> None:
        self.folder = folder
        self._capfd = capfd
        monkeypatch.chdir(folder)
        for name in ("FERRYMAN_HOME", "FERRYMAN_PASSPHRASE", "SYNC_RELAY_URL"):
            monkeypatch.delenv(name, raising=False)

    def run(self, *arguments: str) -> Done:
        """In this process: a second faster than a new one, and as the person's shell would see it."""
        self._capfd.readouterr()
        code = main.run([str(one) for one in arguments])
        done = Done(code, *self._capfd.readouterr())
        assert "Traceback" not in done.err
        return done

    def ok(self, *arguments: str) -> Done:
        done = self.run(*arguments)
        assert done.code == 0, done
        return done

    def process(self, *arguments: str, stdin: bytes = b"") -> Done:
        """In a process of its own."""
        done = subprocess.run(
            [*FERRYMAN, *map(str, arguments)],
            input=stdin, capture_output=True, timeout=PATIENCE_SECONDS, check=False, cwd=self.folder,
        )  # fmt: skip
        assert b"Traceback" not in done.stderr
        return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(), done.stdout)

    def pair(self, url: str, *names: str) -> None:
        """Devices of one group, the first of them its founder."""
        self.ok("enable", "--home", names[0], "--relay", url, "--allow-plain")
        for name in names[1:]:
            [invite] = self.ok("invite", "--direct", "--home", names[0], "--json").objects
            self.ok("join", invite["short_code"], "--home", name, "--relay", url, "--allow-plain")


@contextmanager
def holder(folder: Path, *arguments: str):
    """A command that stays, as a process; its lines are read as they come. Killed at the end if it is still there."""
    pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with child(*FERRYMAN, *arguments, cwd=folder, text=True, **pipes) as process:
        yield process


def end(process: subprocess.Popen, number: int = signal.SIGINT) -> int:
    process.send_signal(number)
    return process.wait(PATIENCE_SECONDS)


def wait_for(process: subprocess.Popen, text: str) -> str:
    """The first line that contains the text."""
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"it ended without saying {text!r}: {process.stderr.read()}")


class RelayProcess:
    """`ferryman relay` as a process, that can be killed and comes back on the port it had."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen | None = None
        self.port = 0
        self.key = ""

    def start(self) -> RelayProcess:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._process is None:
            try:
                self._process, said = self._started()
                self.port, self.key = said["port"], said["key"]
            except AssertionError:  # the port was somebody else's for a moment, or it does not start at all
                if self.port == 0 or time.monotonic() > deadline:
                    raise
        return self

    def _started(self) -> tuple[subprocess.Popen, dict]:
        command = [*FERRYMAN, "relay", "--config", write_config(self._folder, port=self.port), "--stop-with-stdin"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return process, listening(process)

    def kill(self) -> None:
        if self._process is not None:
            kill(self._process)
            self._process = None

    def lose_key(self) -> None:
        """As an operator does who copies a database without its key: it starts with another one."""
        (self._folder / "relay.db.key").unlink()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)
