"""Which sealed blobs wait, in the order of their seq, as a value: a change copies a compartment, not the whole shelf.

shelf = EMPTY.put(waiting) -> Shelf        seq only grows
shelf.remove(seq) -> Shelf
shelf.after(seq, blobs=64, size=4 MiB) -> the next ones in order
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

COMPARTMENT = 256  # blobs: with 65,536 waiting a change copies 256 + 256 references, a few microseconds


@dataclass(frozen=True, slots=True)
class Waiting:
    """A blob that the relay has not acknowledged. sealed_hash: 16 bytes (wire §6); size: of the sealed bytes."""

    seq: int
    blob_id: bytes
    sealed_hash: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """compartments: seq // COMPARTMENT -> seq -> blob, both in ascending order."""

    compartments: Mapping[int, Mapping[int, Waiting]] = field(default_factory=dict[int, Mapping[int, Waiting]])
    count: int = 0
    size: int = 0  # bytes of all sealed blobs

    def put(self, waiting: Waiting) -> Shelf:
        number = waiting.seq // COMPARTMENT
        compartment = {**self.compartments.get(number, {}), waiting.seq: waiting}
        return Shelf({**self.compartments, number: compartment}, self.count + 1, self.size + waiting.size)

    def find(self, seq: int) -> Waiting | None:
        return self.compartments.get(seq // COMPARTMENT, {}).get(seq)

    def remove(self, seq: int) -> Shelf:
        """Without that blob; the same shelf when it is not there."""
        gone = self.find(seq)
        if gone is None:
            return self
        number = seq // COMPARTMENT
        compartment = {place: each for place, each in self.compartments[number].items() if place != seq}
        compartments = {**self.compartments, number: compartment}
        if not compartment:
            del compartments[number]
        return Shelf(compartments, self.count - 1, self.size - gone.size)

    def after(self, seq: int, *, blobs: int, size: int) -> tuple[Waiting, ...]:
        """The next blobs above `seq`, lowest first: at most `blobs`, of `size` bytes together, but one in any case."""
        chosen: list[Waiting] = []
        for number, compartment in self.compartments.items():
            if number < seq // COMPARTMENT:
                continue
            for place, waiting in compartment.items():
                if place <= seq:
                    continue
                size -= waiting.size
                if len(chosen) == blobs or (chosen and size < 0):
                    return tuple(chosen)
                chosen.append(waiting)
        return tuple(chosen)
