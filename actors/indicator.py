"""The light beside an application's "sync": it hears all that is told and counted, and tells when its word changes.

events --> heed --> last error --+
connection, totals --------------+--> indicate --> another word than before: SyncStatus
"""

from __future__ import annotations

from ferryman.actors.board import Board
from ferryman.actors.event_hub import EventHub
from ferryman.protocol.sync.events import BlobPushed, BlobRejected, Indicator, SyncEvent, SyncStatus
from ferryman.protocol.sync.indicator import Backlog, heed, indicate


class IndicatorLight:
    """One a runtime. Whoever changes the board says so; nothing waits here."""

    def __init__(self, board: Board, hub: EventHub) -> None:
        self._board = board
        self._hub = hub
        self._shown = self.word
        hub.on_event = self._hear
        board.on_change = self.look

    @property
    def word(self) -> Indicator:
        board = self._board
        return indicate(board.status, Backlog(board.totals.count, board.parked), board.last_error)

    def look(self) -> None:
        board, word = self._board, self.word
        board.stirred.unpark_all()
        if word != self._shown:
            self._shown = word
            self._hub.publish(SyncStatus(word, board.totals.count))

    def park(self, parked: bool) -> None:
        """The host is about to close, or is back."""
        self._board.parked = parked
        self.look()

    def _hear(self, event: SyncEvent) -> None:
        if isinstance(event, SyncStatus):
            return
        self._board.last_error = heed(self._board.last_error, event)
        if isinstance(event, BlobPushed | BlobRejected):
            self._board.settled += 1
        self.look()
