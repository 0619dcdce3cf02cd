"""Which crashes lead to the same run, so that only one of them has to be lived through.

A world of one machine has no peer and no network that could tell two moments apart. What follows a crash there is a
function of this, all of which is in the hash:

| what                                                        | why                                                   |
|-------------------------------------------------------------|-------------------------------------------------------|
| the disk: names, bytes, what of both is synced              | the next life reads it, and a later cut may take it   |
| the life's number, the seed, the virtual and the wall time  | chance, IDs and time stamps are drawn from them       |
| the host, what it saw, what was asked of the process so far | the story goes on from there, and is judged by it     |
| the crashes still to come, and their policy                 | they are part of the run                              |
| the same of the crash before this one                       | two runs are compared that were one run up to here    |

The scheduler's dice are thrown anew at each life's start (`World.plan`), so they remember nothing of the life before.
In a world of more machines the others go on while one is down, and what they hold is in no hash: there, sameness is
judged within one spot only, by what each policy leaves of the disk at that very moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

Known = dict[str, bool]
"""Hash of a crash -> whether the run that followed was well."""


class Twin(BaseException):
    """The run from here on is known. Nobody may catch it and go on."""

    def __init__(self, *, ok: bool) -> None:
        self.ok = ok


class Crashes:
    """Those of one run, each hashed onto the one before."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.hashes: list[str] = []

    @property
    def first(self) -> str:
        return self.hashes[0] if self.hashes else ""

    def add(self, what: Mapping[str, object]) -> None:
        """Raises Twin for a crash that is known."""
        state = "\n".join([*self.hashes[-1:], *(f"{name} {value!r}" for name, value in what.items())])
        self.hashes.append(hashlib.blake2b(state.encode(), digest_size=16).hexdigest())
        known = self._known.get(self.hashes[-1])
        if known is not None:
            raise Twin(ok=known)

    def conclude(self, *, ok: bool) -> None:
        """The run is over: so end all that come to one of its crashes."""
        self._known.update(dict.fromkeys(self.hashes, ok))


def seen(machine: Any) -> dict[str, object]:
    """What of a machine decides how its next life goes on, but for its disk."""
    asked, held = (machine.asked, machine.answered), (machine.kept_down, len(machine.chores), machine.ambushes.waiting)
    return {"life": machine.life, "host": machine.host, "asked": asked, "held": held}
