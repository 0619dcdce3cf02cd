"""What devices were handed, until a commit notes it.

    PULL_RESPONSE --> note   at most 1,024 rows wait, and the page that goes over; in a flood the rest is left out
                      take   all of it, for the commit that comes next

Nothing follows from a delivery, acknowledging is another thing. So no commit is made for it, and none made long.
"""

from __future__ import annotations

from ferryman.actors.relay.transaction import Delivered, Job

KEPT_ROWS = 1024  # a row takes some microseconds of the loop, and a page may have a thousand


class Deliveries:
    def __init__(self) -> None:
        self._waiting: list[tuple[bytes, Job]] = []
        self._rows = 0

    def note(self, delivered: Delivered) -> None:
        if delivered.blob_ids and self._rows < KEPT_ROWS:
            self._waiting.append((delivered.group_id, delivered))
            self._rows += len(delivered.blob_ids)

    def take(self) -> list[tuple[bytes, Job]]:
        waiting, self._waiting, self._rows = self._waiting, [], 0
        return waiting
