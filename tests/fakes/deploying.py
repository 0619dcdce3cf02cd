"""What `examples/deploy` says, read as far as a machine without Docker, systemd or an account anywhere can read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fakes.child import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"


def instructions(path: Path) -> list[tuple[str, str]]:
    """A Dockerfile's instructions with their arguments, continued lines joined."""
    found: list[tuple[str, str]] = []
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, arguments = line.partition(" ")
            found.append((name, " ".join(arguments.split())))
    return found


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """A systemd unit: its sections, their keys, and what is said to each, in order."""
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return sections


def ferryman(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """`ferryman` with this environment on top, and none of the tester's own settings below."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FERRYMAN_", "SYNC_", "PORT"))}
    return subprocess.run(
        [sys.executable, "-m", "ferryman", *map(str, arguments)],
        env={**kept, **environment}, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
