"""A stream replayed outside its actor: what the state was after each record, for whoever explains or verifies it.

for record, state in replay(machine, "cache", records):
    print(record.version, state)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from ferryman.actors.recollection import Recollection
from ferryman.protocol.ledger.record import Recorded
from ferryman.protocol.machine import Machine

S = TypeVar("S")


def replay(machine: Machine[S, Any, Any], stream: str, records: Iterable[Recorded]) -> Iterator[tuple[Recorded, S]]:
    """Each record with the state that it leads to, by the very fold that the actor starts with.

    Raises RecoveryFailed at the record that the machine cannot read; those before it have been given by then.
    """
    past = Recollection(machine, stream)
    for record in records:
        past.recall([record], now=0)
        yield record, past.state
