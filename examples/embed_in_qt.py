"""A device inside a Qt program, in the same thread: Trio runs as the guest of Qt's loop. It wants PySide6.

python examples/embed_in_qt.py                                          a relay and a device, and Qt's own clock

What Qt calls (a click, a timer) hands work to the device with `tell`; what the device hears goes to a signal. No window
is opened here, so that it runs anywhere; with one, only QCoreApplication is another class.
"""
# pyright: basic, reportMissingImports=false

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer, Signal

import ferryman

SOON = QEvent.Type(QEvent.registerEventType())


class Soon(QEvent):
    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(SOON)
        self.act = act


class Device(QObject):
    """The bridge: `post` may be called from any thread, `tell` from Qt's, and `indicator` is for a label."""

    indicator = Signal(str)
    connected = Signal()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, Soon):
            event.act()
            return True
        return super().event(event)

    def post(self, act: Callable[[], object]) -> None:
        QCoreApplication.postEvent(self, Soon(act))

    def tell(self, work: Callable[..., Awaitable[object]], *arguments: object) -> None:
        self.token.run_sync_soon(self.nursery.start_soon, work, *arguments)

    async def live(self, folder: Path) -> None:
        relay_config = {"server": {"bind": "127.0.0.1:0"}, "storage": {"database": str(folder / "relay.db")}}
        config = ferryman.RuntimeConfig.check({"home": folder / "desk", "keys": {"allow_plain": True}})
        async with (
            ferryman.open_relay(relay_config) as relay,  # yours runs elsewhere
            ferryman.SyncClient(config) as self.client,
            self.client.subscribe() as events,
            trio.open_nursery() as self.nursery,
        ):
            self.token = trio.lowlevel.current_trio_token()
            self.nursery.start_soon(self.follow, events)
            await self.client.connect(f"ws://127.0.0.1:{relay.address[1]}")
            self.connected.emit()
            await trio.sleep_forever()

    async def follow(self, events) -> None:
        async for event in events:
            if isinstance(event, ferryman.events.SyncStatus):
                self.indicator.emit(event.indicator)

    async def save_and_leave(self, note: bytes) -> None:
        pushed = await self.client.push(note)
        print("pushed to", pushed.cursor)
        self.client.mark_pending_for_next_launch()
        await self.client.quick_flush()
        self.indicator.emit(self.client.indicator())  # the last word: nobody follows any more
        self.nursery.cancel_scope.cancel()


def main(folder: Path) -> None:
    app = QCoreApplication([])
    device = Device()
    words: list[str] = []
    device.indicator.connect(words.append)
    device.connected.connect(lambda: QTimer.singleShot(10, lambda: device.tell(device.save_and_leave, b"a note")))
    ends = []

    def over(outcome) -> None:
        ends.append(outcome)
        app.quit()

    trio.lowlevel.start_guest_run(
        device.live,
        folder,
        run_sync_soon_threadsafe=device.post,
        done_callback=over,
        host_uses_signal_set_wakeup_fd=False,
    )
    app.exec()
    ends[0].unwrap()
    print("the label showed", words[-1])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
