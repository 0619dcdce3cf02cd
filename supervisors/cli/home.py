"""Where a device is, and how it is set up.

--home  >  FERRYMAN_HOME  >  XDG_DATA_HOME/ferryman/device  (macOS: ~/Library/Application Support/Ferryman/device)

| file in it     | is                                                                          |
|----------------|-----------------------------------------------------------------------------|
| ferryman.toml  | settings, if there are any: the tables of `RuntimeConfig` without `home`    |
| ledger.db      | what the device decided: its group, its relay, its outbox                   |
| keys/          | its key store                                                               |
| device.lock    | held by the process that is the device                                      |
| control.sock   | how commands reach that process                                             |
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ferryman.actors.ports import Disk
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.config import ControlConfig, RuntimeConfig

HOME = "FERRYMAN_HOME"
SETTINGS = "ferryman.toml"


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """What all commands of a device take.

    Parameters
    ----------
    home:
        The device's directory. Left out: FERRYMAN_HOME, else your data directory.
    json:
        Print one JSON object a line, errors too.
    """

    home: Path | None = None
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False


COMMON = Common()


def find_home(given: Path | None, environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The device's directory, absolute. Raises BadInput."""
    named = environment.get(HOME)
    home = given or (Path(named) if named else data_directory(environment, platform) / "device")
    home = home.expanduser().absolute()
    if home.exists() and not home.is_dir():
        raise BadInput(f"{home}: is a file; --home names a directory")
    return home


def data_directory(environment: Mapping[str, str], platform: str) -> Path:
    """Where programs of one user keep their data (XDG Base Directory; Apple's file system guide)."""
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Ferryman"
    named = environment.get("XDG_DATA_HOME", "")
    return (Path(named) if named.startswith("/") else Path.home() / ".local" / "share") / "ferryman"


def is_device(home: Path) -> bool:
    return (home / "keys" / "store.json").exists()


def require_device(home: Path) -> None:
    """Raises BadInput when there is no device."""
    if not is_device(home):
        raise BadInput(
            f"{home}: there is no device here; `ferryman enable --relay URL` begins a group, `ferryman join` enters"
            " one, --home names another directory"
        )


def load_config(home: Path, *, allow_plain: bool, takes: bool) -> RuntimeConfig:
    """The home's settings under the environment's. Raises BadInput."""
    settings = home / SETTINGS
    environment = {**os.environ, HOME: str(home)}
    config = RuntimeConfig.load(settings if settings.exists() else None, environment=environment)
    keys = config.keys.model_copy(update={"allow_plain": config.keys.allow_plain or allow_plain})
    control = ControlConfig(enabled=True, takes=takes)
    return config.model_copy(update={"keys": keys, "control": control})


def record_allow_plain(home: Path, disk: Disk) -> None:
    """So that nobody has to say it twice. Everything else in the settings stays as it is."""
    path = home / SETTINGS
    text = disk.read(path).decode() if disk.exists(path) else ""
    if tomllib.loads(text).get("keys", {}).get("allow_plain") is True:
        return
    disk.write(path, with_plain_keys_allowed(text).encode())


def with_plain_keys_allowed(text: str) -> str:
    """The settings with `keys.allow_plain = true`."""
    line = "allow_plain = true\n"
    text = re.sub(r"(?m)^[ \t]*allow_plain[ \t]*=.*\n?", "", text)
    header = re.search(r"(?m)^[ \t]*\[keys\].*(\n|\Z)", text)
    if header is None:
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}[keys]\n{line}"
    head, tail = text[: header.end()], text[header.end() :]
    return f"{head}{'' if head.endswith(chr(10)) else chr(10)}{line}{tail}"
