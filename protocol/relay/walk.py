"""A walk over MessagePack that is ignored: the rules of wire.md §3 hold all the same, and nothing of it is built.

| head                          | is                   | here                                             |
|-------------------------------|----------------------|--------------------------------------------------|
| 00-7f e0-ff c0 c2 c3 ca-d3    | numbers, nil, bool   | stepped over                                     |
| c4 c5 c6                      | bin                  | stepped over                                     |
| a0-bf d9 da db                | str                  | must be UTF-8; as a key once in its map          |
| 90-9f dc dd, 80-8f de df      | array, map           | at most 8 deep, counted from the outermost value |
| c7-c9 d4-d8                   | ext                  | refused                                          |

What comes in was cut by a reader that has already proven it to be exactly one value: no length can point outside.
A stranger chooses these bytes, so each costs one look into a table wherever it can.
"""

from __future__ import annotations

from typing import Final

from ferryman.protocol.relay.errors import InvalidMessage

MAX_DEPTH: Final = 8
# A map's keys are remembered while it is read, to find duplicates. No message has more than eight fields.
MAX_KEYS: Final = 1_024

# Bytes after the head: of numbers, and of the length in front of what has one.
_NUMBERS: Final = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_BIN: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_STR: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAY: Final = {0xDC: 2, 0xDD: 4}
_MAP: Final = {0xDE: 2, 0xDF: 4}


def _steps() -> tuple[int, ...]:
    """How long a value with this head is, where the head alone says so; 0 elsewhere."""
    steps = [1 if head < 0x80 or head >= 0xE0 or head in (0xC0, 0xC2, 0xC3) else 0 for head in range(256)]
    for head, size in _NUMBERS.items():
        steps[head] = 1 + size
    return tuple(steps)


_STEPS: Final = _steps()
_STEPS_OR_EMPTY: Final = tuple(1 if head in (0x80, 0x90) else step for head, step in enumerate(_STEPS))


def array_size(data: memoryview) -> int | None:
    """How many elements the array at the start of `data` announces, None when something else stands there."""
    return _size(data, 0x90, _ARRAY)


def map_size(data: memoryview) -> int | None:
    """How many pairs the map at the start of `data` announces, None when something else stands there."""
    return _size(data, 0x80, _MAP)


def check_ignored(data: memoryview, around: int) -> None:
    """`around`: how many arrays and maps the value stands in. Raises InvalidMessage."""
    _walk(bytes(data), 0, around)


def _walk(data: bytes, at: int, around: int) -> int:
    """The end of the value at `at`. It calls itself at most MAX_DEPTH times."""
    head = data[at]
    if step := _STEPS[head]:
        return at + step
    if 0xA0 <= head < 0xC0 or head in _STR:
        return _walk_str(data, at)[1]
    if head in _BIN:
        return at + 1 + _BIN[head] + _number(data, at + 1, _BIN[head])
    if around == MAX_DEPTH:
        raise InvalidMessage(f"nested deeper than {MAX_DEPTH}")
    if head < 0x90:
        return _walk_map(data, at + 1, head - 0x80, around + 1)
    if head < 0xA0:
        return _walk_array(data, at + 1, head - 0x90, around + 1)
    if head in _ARRAY:
        return _walk_array(data, at + 1 + _ARRAY[head], _number(data, at + 1, _ARRAY[head]), around + 1)
    if head in _MAP:
        return _walk_map(data, at + 1 + _MAP[head], _number(data, at + 1, _MAP[head]), around + 1)
    raise InvalidMessage("an ext value")


def _walk_array(data: bytes, at: int, size: int, around: int) -> int:
    steps = _STEPS if around == MAX_DEPTH else _STEPS_OR_EMPTY
    for _ in range(size):
        step = steps[data[at]]
        at = at + step if step else _walk(data, at, around)
    return at


def _walk_map(data: bytes, at: int, size: int, around: int) -> int:
    if size > MAX_KEYS:
        raise InvalidMessage(f"a map of more than {MAX_KEYS} keys")
    keys: set[str] = set()
    for _ in range(size):
        if not (0xA0 <= data[at] < 0xC0 or data[at] in _STR):
            raise InvalidMessage("a key that is not a str")
        key, at = _walk_str(data, at)
        if key in keys:
            raise InvalidMessage("a duplicate key")
        keys.add(key)
        at = _walk(data, at, around)
    return at


def _walk_str(data: bytes, at: int) -> tuple[str, int]:
    head = data[at]
    wide = _STR.get(head, 0)
    start = at + 1 + wide
    end = start + (_number(data, at + 1, wide) if wide else head - 0xA0)
    try:
        return data[start:end].decode(), end
    except UnicodeDecodeError:
        raise InvalidMessage("a str that is not UTF-8") from None


def _size(data: memoryview, short: int, wide: dict[int, int]) -> int | None:
    head = data[0]
    if short <= head < short + 16:
        return head - short
    return int.from_bytes(data[1 : 1 + wide[head]], "big") if head in wide else None


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
