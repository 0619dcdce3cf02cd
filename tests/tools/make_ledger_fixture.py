"""Makes tests/vectors/ledger-v1/, the ledger that every later version must read. Run once for a format, never again.

    python -m tests.tools.make_ledger_fixture FOLDER

Everything comes from a seed, so that the same program makes the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ferryman.actors.keychain import KeychainChoice, open_keychain
from ferryman.actors.ledger_compact import compact
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import open_ledger
from ferryman.actors.ledger_retention import blank
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import SeededEntropy
from ferryman.protocol.ledger.record import Append, TakeSnapshot
from ferryman.protocol.machine import Row
from tests.vectors.ledger_v1 import ARCHIVED, HOLD, LIVE, PASSPHRASE, TABLE, WRITTEN_AT

HOME = Path("/fixture")


def build() -> dict[str, bytes]:
    """The files of the device's directory, by their names in it."""
    disk, entropy = MemoryDisk(), SeededEntropy(1)
    keys = open_keychain(KeychainChoice(HOME, disk, entropy, passphrase=PASSPHRASE, find_backend=None))
    place = Place(HOME / "ledger.db", disk, keys.keychain, entropy)

    def append(store, stream, events, reply):
        version = store.version(stream)
        number = store.head.seq + 1
        row = Row("INSERT INTO fixture_row VALUES (?, ?)", (f"{stream}-{version}", len(events)))
        entry = Append(
            stream,
            version,
            number.to_bytes(16, "big"),
            bytes([number]) * 32,
            events,
            reply,
            (row,),
            fence=("deck", number),
            principal="bosun",
            record_class="fact",
        )
        store.begin()
        store.stage(entry, WRITTEN_AT)
        store.commit()

    opened = open_ledger(place, WRITTEN_AT, tables=(TABLE,))
    store = opened.store
    for stream, events, reply in ARCHIVED:
        append(store, stream, events, reply)
    store.begin()
    store.stage(TakeSnapshot("hold", store.version("hold"), HOLD), WRITTEN_AT)
    store.commit()
    compact(place, opened, WRITTEN_AT)
    opened.close(clean=True)

    opened = open_ledger(place, WRITTEN_AT, tables=(TABLE,))
    for stream, events, reply in LIVE:
        append(opened.store, stream, events, reply)
    blank(opened.store, [opened.store.head.seq], "the storm", WRITTEN_AT)
    opened.close(clean=True)
    return {Path(name).relative_to(HOME).as_posix(): bytes(inode.seen) for name, inode in disk.names.items()}


def main() -> None:
    folder = Path(sys.argv[1])
    for name, content in build().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(path, len(content))


if __name__ == "__main__":
    main()
