"""`ferryman backup` and `ferryman restore`: a device's directory as one file, and back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ferryman.actors.real_ports import make_real_ports
from ferryman.supervisors.cli.home import COMMON, Common, find_home, require_device
from ferryman.supervisors.cli.words import size
from ferryman.supervisors.home_backup import Backup, back_up_home, restore_home
from ferryman.version import __version__

WHO_CAN_READ = {
    "sealed": "its keys are sealed under the device's passphrase",
    "plain": "its keys lie in it unsealed: whoever has the file is the device",
    "os": "its keys are in this system's keychain and not in the file: it is of use only where that keychain is",
}


def backup(file: Path, /, *, common: Common = COMMON) -> int:
    """Copy this device into FILE, whether a process holds it or not: settings, keys, ledger, outbox.

    Parameters
    ----------
    file
        Where to; an existing file is never overwritten.
    """
    home = find_home(common.home)
    require_device(home)
    ports = make_real_ports()
    made = back_up_home(ports.disk, home, file, now=ports.clock.now(), version=__version__)
    tell("backup", made, f"{file}: {size(made.bytes)}; {WHO_CAN_READ[made.keys]}", file, home, as_json=common.json)
    return 0


def restore(file: Path, /, *, common: Common = COMMON) -> int:
    """Make this device of a backup, in a directory that is empty or not there yet.

    What it pushed after the backup, its group has; it pushes on from where the backup stands, and the others are told
    that its history forked. The device that it was must not run any more: two of one are taken for two liars.

    Parameters
    ----------
    file
        What `ferryman backup` made.
    """
    home = find_home(common.home)
    made = restore_home(make_real_ports().disk, file, home)
    when = datetime.fromtimestamp(made.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    said = f"{home}: this device is again as it was at {when}; {WHO_CAN_READ[made.keys]}"
    tell("restored", made, f"{said}\nNothing else may be this device from now on. `ferryman doctor` looks it over.",
         file, home, as_json=common.json)  # fmt: skip
    return 0


def tell(kind: str, made: Backup, text: str, file: Path, home: Path, *, as_json: bool) -> None:
    entries = {"type": kind, "file": str(file), "home": str(home), "bytes": made.bytes, "made_at": made.made_at}
    sys.stdout.write((msgspec.json.encode({**entries, "keys": made.keys}).decode() if as_json else text) + "\n")
