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


def settings_with_plain_keys(home: Path, disk: Disk) -> bytes | None:
    """What the home's settings have to say so that plain keys are allowed; None when they do. Raises BadInput."""
    path = home / SETTINGS
    text = disk.read(path).decode() if disk.exists(path) else ""
    try:
        allowed = with_plain_keys_allowed(text)
    except BadInput as error:
        raise BadInput(f"{path}: {error.message}") from None
    return None if allowed == text else allowed.encode()


def with_plain_keys_allowed(text: str) -> str:
    """The settings with `keys.allow_plain = true`, everything else as it is. Raises BadInput.

    TOML has more spellings of a table than are worth writing into: of three edits the first that reads as it should."""
    wanted = tomllib.loads(text)
    keys = wanted.setdefault("keys", {})
    if keys.get("allow_plain") is True:
        return text
    keys["allow_plain"] = True
    bare = re.sub(r"(?m)^[ \t]*(keys\.)?allow_plain[ \t]*=.*\n?", "", text)
    line = "allow_plain = true\n"
    header = re.compile(r"""(?m)^[ \t]*\[[ \t]*(["']?)keys\1[ \t]*\].*$\n?""")
    edits = (
        header.sub(lambda found: f"{found[0].rstrip()}\n{line}", bare, count=1),
        f"{bare}{'' if bare.endswith(chr(10)) or not bare else chr(10)}[keys]\n{line}",
        f"keys.{line}{bare}",
    )
    for edit in edits:
        if _reads_as(edit, wanted):
            return edit
    raise BadInput(
        "the keys are spelled in a way that is not changed here: write `allow_plain = true` to them yourself"
    )


def _reads_as(text: str, wanted: Mapping[str, object]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False
