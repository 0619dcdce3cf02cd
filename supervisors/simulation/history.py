"""What hosts saw, as the checks read it. Times are virtual seconds; cursors the relay's; blob IDs 16 bytes."""

from __future__ import annotations

from dataclasses import dataclass


def short(blob_id: bytes) -> str:
    return blob_id.hex()[:8]


@dataclass(frozen=True, slots=True)
class Enqueued:
    """enqueue() has returned: it is on the device's disk. began: when it was called."""

    device: str
    blob_id: bytes
    data: bytes
    began: float
    ended: float

    def __str__(self) -> str:
        return f"{self.device} enqueued {short(self.blob_id)} {self.data[:24].decode('ascii', 'replace')!r}"


@dataclass(frozen=True, slots=True)
class Pushed:
    """The relay acknowledged it, and the device told its host."""

    device: str
    blob_id: bytes
    cursor: int
    at: float

    def __str__(self) -> str:
        return f"{self.device} pushed {short(self.blob_id)} at cursor {self.cursor}"


@dataclass(frozen=True, slots=True)
class Denied:
    """The relay refused a push for now. It is sent again, and what was on its way behind it may come before it."""

    device: str
    code: int

    def __str__(self) -> str:
        return f"{self.device} was refused with {self.code}"


@dataclass(frozen=True, slots=True)
class Handed:
    """The host got it in its stream. taken: the host stored it, and `taken()` has returned."""

    device: str
    life: int
    blob_id: bytes
    cursor: int
    data: bytes
    sender: bytes

    def __str__(self) -> str:
        return f"{self.device} got {short(self.blob_id)} at cursor {self.cursor}"


@dataclass(frozen=True, slots=True)
class Taken:
    device: str
    life: int
    blob_id: bytes

    def __str__(self) -> str:
        return f"{self.device} took {short(self.blob_id)}"


@dataclass(frozen=True, slots=True)
class Pulled:
    """A pull's answer: (cursor, blob ID) of each, everything after `after`, in order. more: the page was not the last.

    began, ended: when it was asked and answered."""

    device: str
    after: int
    entries: tuple[tuple[int, bytes], ...]
    more: bool
    began: float
    ended: float

    def __str__(self) -> str:
        return f"{self.device} pulled {len(self.entries)} after {self.after}"


@dataclass(frozen=True, slots=True)
class Replied:
    """A durable actor answered a command. Equal ids get equal replies, whatever crashed between."""

    machine: str
    command_id: bytes
    reply: object

    def __str__(self) -> str:
        return f"{self.machine} replied {self.reply!r} to {short(self.command_id)}"


@dataclass(frozen=True, slots=True)
class Told:
    """An event of sync that a host should hear rarely: a gap, a fork, a resync."""

    device: str
    event: object

    def __str__(self) -> str:
        return f"{self.device} heard {type(self.event).__name__}"


@dataclass(frozen=True, slots=True)
class Down:
    """A life of a machine ended."""

    machine: str
    life: int

    def __str__(self) -> str:
        return f"{self.machine} is down"


@dataclass(frozen=True, slots=True)
class Restored:
    """A relay begins again with its backup: what came after it is gone there, and devices are told of a resync."""

    machine: str

    def __str__(self) -> str:
        return f"{self.machine} is restored from its backup"
