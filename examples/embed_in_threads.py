"""A program without an event loop: the device lives in a thread of its own, and every call blocks until it is done.

python examples/embed_in_threads.py                                     a relay and two devices, all in this process
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import ferryman


def start(folder: Path, name: str) -> ferryman.ThreadedDevice:
    return ferryman.start_in_thread(
        {"home": folder / name, "keys": {"allow_plain": True}, "sync": {"direct_invites": True, "device_name": name}}
    )


def main(folder: Path, url: str) -> None:
    with start(folder, "till") as till, start(folder, "office") as office:
        till.connect(url)
        office.join_invite(till.create_invite().short_code, url)

        with ThreadPoolExecutor(4) as pool:  # any thread may call
            sold = list(pool.map(till.enqueue, [b"sale %d" % number for number in range(8)]))
        cycle = till.sync_now(lambda progress: print(f"\rpushed {progress.pushed} of {progress.to_push}", end=""))
        print("\rthe till is", cycle.indicator, "and its first sale", till.blob_standing(sold[0]))

        for blob in office.blobs(timeout=1.0):
            print(blob.data.decode())
        try:
            till.push(bytes(2_000_000))
        except ferryman.errors.BlobTooLarge as error:  # the same classes as everywhere
            print("refused:", error.code)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = {"server": {"bind": "127.0.0.1:0"}, "storage": {"database": str(folder / "relay.db")}}
        with ferryman.Portal(partial(ferryman.open_relay, config), "relay") as relay:
            main(folder, f"ws://127.0.0.1:{relay.inside.address[1]}")
