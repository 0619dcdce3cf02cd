"""What the director of a real run and its processes say to each other: pickled values, each with its length before it.

| from the director | what                                                                       |
|-------------------|----------------------------------------------------------------------------|
| Birth             | the first frame: which machine this is, and where it lives                 |
| Asked             | a walk from a kept object: names, calls, and the answer at its end         |

| from a process    | what                                                                       |
|-------------------|----------------------------------------------------------------------------|
| Up                | its program is open                                                        |
| Answered          | what a walk led to, or the error that it ended with                        |
| Said              | a row for the trace                                                        |
| Noted             | something for the history                                                  |
| Passed            | a crash point                                                              |
| Dying             | the crash that was asked for: the next thing it does is SIGKILL            |
| ActorCrashed      | an actor crashed that no fault explains                                    |
| Ended             | its program ended by itself, and how                                       |
| Listening         | the port that it really listens at                                         |
| Kept              | its actors gave something to the host, which outlives them                 |

What cannot leave its process (a method, a stream, a context) stays there under a number, and only that is sent.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

from ferryman.supervisors.simulation.scenario import Scenario
from ferryman.supervisors.simulation.trace import Kind

LENGTH_BYTES = 4
FRAME_BYTES_AT_MOST = 64 * 1024 * 1024  # all hosts of a world in one question


@dataclass(frozen=True, slots=True)
class Birth:
    """host: what it has by now. folder: what is "/" to the machine. port: the cable to the rest of its world. crash:
    the point at which it kills itself, and at which passing."""

    seed: int | str
    scenario: Scenario
    machine: str
    program: str
    life: int
    host: Any
    folder: str
    port: int
    crash: tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class Call:
    args: tuple[Any, ...]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """target: the number of a kept object. path: names to look up and calls to make. keep: the answer stays there."""

    number: int
    target: int
    path: tuple[str | Call, ...]
    keep: bool


@dataclass(frozen=True, slots=True)
class Answered:
    number: int
    well: bool
    value: Any


@dataclass(frozen=True, slots=True)
class Up:
    pass


@dataclass(frozen=True, slots=True)
class Said:
    kind: Kind
    row: str


@dataclass(frozen=True, slots=True)
class Noted:
    what: object


@dataclass(frozen=True, slots=True)
class Passed:
    point: str


@dataclass(frozen=True, slots=True)
class Dying:
    point: str


@dataclass(frozen=True, slots=True)
class ActorCrashed:
    said: str


@dataclass(frozen=True, slots=True)
class Ended:
    said: str


@dataclass(frozen=True, slots=True)
class Listening:
    port: int


@dataclass(frozen=True, slots=True)
class Kept:
    """gone: the key is no longer there."""

    key: Any
    value: Any
    gone: bool = False


def rebuilt(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """An error without its constructor: those of ours want other arguments than they keep."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class Packer(pickle.Pickler):
    """number_of: what stays here under a number, or None for what may leave."""

    def __init__(self, file: io.BytesIO, number_of: Callable[[object], int | None]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._number_of = number_of

    def persistent_id(self, obj: object) -> int | None:
        return self._number_of(obj)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, BaseException):
            return rebuilt, (type(obj), obj.args, vars(obj))
        return NotImplemented


class Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, object_of: Callable[[int], object]) -> None:
        super().__init__(file)
        self._object_of = object_of

    def persistent_load(self, pid: int) -> object:
        return self._object_of(pid)


def pack(what: object, number_of: Callable[[object], int | None]) -> bytes:
    """A frame. Raises TypeError, AttributeError or PicklingError for what cannot be sent."""
    file = io.BytesIO()
    file.write(bytes(LENGTH_BYTES))
    Packer(file, number_of).dump(what)
    frame = file.getbuffer()
    frame[:LENGTH_BYTES] = (len(frame) - LENGTH_BYTES).to_bytes(LENGTH_BYTES)
    return bytes(frame)


def unpack(body: bytes, object_of: Callable[[int], object]) -> Any:
    return Unpacker(io.BytesIO(body), object_of).load()


def stays(obj: object) -> bool:
    """What means something only where it is: bound methods, functions in functions, streams and contexts."""
    if isinstance(obj, MethodType):
        return True
    if isinstance(obj, FunctionType):
        return "<" in obj.__qualname__
    kind = type(obj)
    return hasattr(kind, "__anext__") or hasattr(kind, "__aenter__")
