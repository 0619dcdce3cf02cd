"""The patient reader: every form of a struct that is not the canonical one, and every rule that refuses (wire.md §3).

| read as well                                  | refused (InvalidMessage)                                  |
|-----------------------------------------------|-----------------------------------------------------------|
| a struct as an array in field order           | a missing field, a wrong type or length                   |
| bytes as an array of integers 0-255           | a bool, a float or a negative number for a uint           |
| nil for an absent optional field              | a duplicate key, a key that is not str, str not UTF-8     |
| an integer of any width                       | an ext value, nesting deeper than 8, also where ignored   |
| unknown keys, elements beyond the known ones  | more than 1,024 entries in one struct or array of structs |

Slices are cut in C and checked one by one against the field's own type, so that a hostile megabyte is never turned
into a megabyte of Python objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar, cast

import msgspec
from msgspec import Meta, Raw, Struct, inspect
from msgspec.msgpack import Decoder

from ferryman.protocol.relay.errors import InvalidMessage
from ferryman.protocol.relay.walk import MAX_KEYS, array_size, check_ignored, map_size

NIL: Final = 0xC0
# Also of an array of structs: no PULL_RESPONSE has more than 1,000 blobs.
MAX_ENTRIES: Final = MAX_KEYS
MAX_IGNORED_BYTES: Final = 16_384  # of one struct's unknown fields: some 4 ms of the loop

S = TypeVar("S", bound=Struct)

_Byte = Annotated[int, Meta(ge=0, le=255)]
_INTEGERS: Final = Decoder(list[_Byte])
_SLICES: Final = Decoder(list[Raw])
_PAIRS: Final = Decoder(dict[str, Raw])
_WRITE: Final = msgspec.msgpack.Encoder().encode
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    optional: bool
    is_bytes: bool
    decoder: Decoder[Any]
    elements: LiberalReader[Struct] | None  # where the field is an array of structs


class LiberalReader(Generic[S]):
    """Reads one struct type. `read` says, beside the struct, whether any bytes came as an array of integers."""

    def __init__(self, struct: type[S]) -> None:
        info = cast("inspect.StructType", inspect.type_info(struct))
        types = {field.name: field.type for field in msgspec.structs.fields(struct)}
        self._struct = struct
        self._fields = tuple(_field(field, types[field.name]) for field in info.fields)
        self._by_name = {field.name: field for field in self._fields}

    def read(self, data: Raw | bytes | memoryview, depth: int = 1) -> tuple[S, bool]:
        """`data` is exactly one MessagePack value; `depth`: its own, 1 for the outermost. Raises InvalidMessage."""
        view = memoryview(data)
        at = self._struct.__name__.lstrip("_").lower()
        try:
            slices = self._from_map(view, depth) if array_size(view) is None else self._from_array(view, depth)
            values: dict[str, object] = {}
            as_integers = False
            for field in self._fields:
                at = field.name
                if field.name in slices:
                    values[field.name], integers = _value(field, memoryview(slices[field.name]), depth + 1)
                    as_integers |= integers
                elif not field.optional:
                    raise InvalidMessage(f"{field.name} is missing")
        except _UNREADABLE as error:
            raise InvalidMessage(f"{at}: {error}") from None
        return self._struct(**values), as_integers

    def _from_map(self, view: memoryview, depth: int) -> dict[str, Raw]:
        size = map_size(view)
        if size is None:
            raise InvalidMessage("neither a map nor an array")
        _bounded(size)
        pairs = _PAIRS.decode(view)
        if len(pairs) != size:
            raise InvalidMessage("a duplicate key")
        _check_ignored([value for name, value in pairs.items() if name not in self._by_name], depth)
        return pairs

    def _from_array(self, view: memoryview, depth: int) -> dict[str, Raw]:
        slices = _slices(view)
        _check_ignored(slices[len(self._fields) :], depth)
        return {field.name: value for field, value in zip(self._fields, slices, strict=False)}


def _check_ignored(values: Sequence[Raw], depth: int) -> None:
    """What we do not know is walked in Python, byte for byte, on the event loop: so much of it and no more."""
    views = [memoryview(value) for value in values]
    if sum(map(len, views)) > MAX_IGNORED_BYTES:
        raise InvalidMessage(f"more than {MAX_IGNORED_BYTES} bytes that this version does not know")
    for view in views:
        check_ignored(view, depth)


def _field(field: inspect.Field, annotation: Any) -> _Field:
    kind = field.type
    if isinstance(kind, inspect.UnionType):  # only ever X | None
        kind = next(member for member in kind.types if not isinstance(member, inspect.NoneType))
    elements = None
    if isinstance(kind, inspect.VarTupleType):
        elements = LiberalReader(cast("inspect.StructType", kind.item_type).cls)
    return _Field(field.name, not field.required, isinstance(kind, inspect.BytesType), Decoder(annotation), elements)


def _value(field: _Field, view: memoryview, depth: int) -> tuple[object, bool]:
    """One field's value, and whether it held bytes written as integers."""
    if view[0] == NIL:
        if field.optional:
            return None, False
        raise InvalidMessage(f"{field.name} is nil")
    if field.elements is not None:
        return _structs(field.elements, view, depth)
    if field.is_bytes and array_size(view) is not None:
        # Written again as bin and read by the field's own type: one place knows its length.
        return field.decoder.decode(_WRITE(bytes(_INTEGERS.decode(view)))), True
    return field.decoder.decode(view), False


def _structs(reader: LiberalReader[Struct], view: memoryview, depth: int) -> tuple[object, bool]:
    entries = [reader.read(element, depth + 1) for element in _slices(view)]
    return tuple(entry for entry, _ in entries), any(as_integers for _, as_integers in entries)


def _slices(view: memoryview) -> list[Raw]:
    size = array_size(view)
    if size is None:
        raise InvalidMessage("not an array")
    _bounded(size)
    return _SLICES.decode(view)


def _bounded(size: int) -> None:
    if size > MAX_ENTRIES:
        raise InvalidMessage(f"more than {MAX_ENTRIES} entries")
