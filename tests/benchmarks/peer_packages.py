"""Packages of other people's servers: installed when first asked for, into a cache outside the project."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ferryman-benchmarks"
INSTALL_SECONDS = 45.0  # all benchmarks together have a quarter of an hour


class NotRun(Exception):
    """The peer cannot be run here, and why."""


def installed(name: str, command: list[str]) -> Path:
    """The folder that `command` fills when it is its last argument. Whole or not there: it is renamed into place."""
    folder = CACHE / name.replace("==", "-").replace("@", "").replace("/", "-")
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as made:
        target = Path(made) / "installed"
        target.mkdir()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            done = subprocess.run([*command, str(target)], timeout=INSTALL_SECONDS, check=False, **quiet)
        except FileNotFoundError as missing:
            raise NotRun(f"{name} needs {command[0]}, which is not installed") from missing
        except subprocess.TimeoutExpired as late:
            raise NotRun(f"{name} was not installed after {INSTALL_SECONDS:.0f} s") from late
        if done.returncode:
            raise NotRun(f"{name} could not be installed")
        target.rename(folder)
    return folder
