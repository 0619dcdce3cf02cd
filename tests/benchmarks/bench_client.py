"""How fast a device catches up: 100,000 blobs that wait at a relay, pulled, opened, handed to the host and taken.

    python -m tests.benchmarks.bench_client            a table
    python -m tests.benchmarks.bench_client --json     one JSON object a line: name, unit, runs, bar, better

| figure                   | what is measured                                                           | bar        |
|--------------------------|----------------------------------------------------------------------------|------------|
| catch-up, unsigned       | from the first blob asked for to the last one taken and on record: a device | 20,000 / s |
| catch-up, signed         | with nothing, a relay in a process of its own; signing is the default      | 8,000 / s  |
| processor time           | of all threads of the device, for a blob of the two above                  |            |
| opened, unsigned, signed | `open_blob` alone, on one core: what no client can do without               |            |
| signatures               | Ed25519 alone: the floor under a signed catch-up                            |            |

The relay's database is filled while the relay is down, with blobs of 256 bytes as a device would have sealed them.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import trio

from ferryman.protocol.crypto import domains
from ferryman.protocol.crypto.keys import DeviceKeys, GroupKeys, derive_group, signature_holds
from ferryman.protocol.crypto.sealing import open_blob, seal
from ferryman.protocol.sync.chain import SenderChain
from ferryman.protocol.sync.invite import GroupInvite
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.runtime import open_runtime
from tests.fakes.relay_process import relay_process, write_config

RUNS = 3
BLOBS = 100_000
BLOB_BYTES = 256
ALONE = 5_000  # blobs for the figures without a relay
SECRET = b"a benchmark's secret".ljust(32, b".")
SENDER = DeviceKeys.from_seed(b"\x07" * 32)
FAR_FUTURE = 2**40
FILL = """INSERT INTO blobs (blob_id, group_id, cursor, sender_id, payload, timestamp, expires_at, created_at, sha256)
VALUES (?, ?, ?, ?, ?, 0, ?, 0, ?)"""


def sealed(keys: GroupKeys, *, sign: bool, count: int) -> Iterator[tuple[bytes, bytes]]:
    """(blob_id, sealed bytes), as one device seals them in a row."""
    chain = SenderChain(b"a chain.")
    for number in range(1, count + 1):
        blob_id = number.to_bytes(16, "big")
        nonce = number.to_bytes(24, "big")
        content = number.to_bytes(8, "big").ljust(BLOB_BYTES, b".")
        blob = seal(content, keys=keys, device=SENDER, blob_id=blob_id, nonce=nonce, chain=chain.next(), sign=sign)
        chain = chain.sent(blob)
        yield blob_id, blob


def fill(database: Path, groups: dict[bool, GroupKeys]) -> None:
    """Blobs of two groups, one with signatures and one without, into the database of a relay that is down."""
    with apsw.Connection(str(database)) as connection:
        for sign, keys in groups.items():
            connection.execute(
                "INSERT INTO group_cursors (group_id, next_cursor, incarnation, closed, last_seen)"
                " VALUES (?, ?, ?, 1, ?)",  # closed: the first proof would take the blobs of unproven devices away
                (keys.group_id, BLOBS + 1, bytes(16), FAR_FUTURE),
            )
            rows = (
                (blob_id, keys.group_id, cursor, SENDER.device_id, blob, FAR_FUTURE, hashlib.sha256(blob).digest())
                for cursor, (blob_id, blob) in enumerate(sealed(keys, sign=sign, count=BLOBS), start=1)
            )
            connection.executemany(FILL, rows)


async def catch_up(home: Path, url: str, keys: GroupKeys) -> tuple[float, float]:
    """Blobs a second, from the first one asked for to the last one on record, and microseconds of processor time."""
    config = RuntimeConfig(
        home=home,
        keys=KeysConfig(passphrase=None, allow_plain=True, use_os_keychain=False),
        sync=SyncConfig(device_name=home.name, log_level="error"),
    )
    invite = GroupInvite(url, keys.group_id, SECRET, SENDER.device_id, FAR_FUTURE)
    async with open_runtime(config) as runtime:
        await runtime.sync.join_invite(invite.link())
        began, worked = time.perf_counter(), time.process_time()
        count = 0
        async for blob in runtime.sync.blobs():
            count += 1
            if count == BLOBS:
                assert blob.data.startswith(BLOBS.to_bytes(8, "big"))
                await blob.taken()
                break
        took, worked = time.perf_counter() - began, time.process_time() - worked
        assert runtime.sync.last_cursor() >= BLOBS
    return BLOBS / took, worked / BLOBS * 1e6


async def measure_catch_up() -> dict[bool, list[tuple[float, float]]]:
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    groups = {sign: derive_group(SECRET, bytes((sign,)) * 16) for sign in found}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_config(folder, storage={"max_group_storage": 2**30})
        async with relay_process(config) as relay:
            await relay.stop()
        await trio.to_thread.run_sync(fill, folder / "relay.db", groups)
        async with relay_process(config) as relay:
            url = f"ws://127.0.0.1:{relay.port}"
            for run in range(RUNS):
                for sign, keys in groups.items():
                    found[sign].append(await catch_up(folder / f"{sign}-{run}", url, keys))
    return found


def measure_opening(*, sign: bool) -> list[float]:
    keys = derive_group(SECRET, bytes(16))
    blobs = list(sealed(keys, sign=sign, count=ALONE))

    def once() -> None:
        for blob_id, blob in blobs:
            open_blob(blob, keys=keys, sender_id=SENDER.device_id, blob_id=blob_id)

    return rate(once)


def measure_signatures() -> list[float]:
    message = domains.BLOB_SIGNATURE.ljust(200, b".")
    signature = SENDER.sign(message)

    def once() -> None:
        for _ in range(ALONE):
            signature_holds(SENDER.sign_pub, message, signature)

    return rate(once)


def rate(once: Callable[[], None]) -> list[float]:
    runs: list[float] = []
    for _ in range(RUNS):
        began = time.perf_counter()
        once()
        runs.append(ALONE / (time.perf_counter() - began))
    return runs


def figures() -> Iterator[dict[str, object]]:
    found = trio.run(measure_catch_up)
    for sign, word, bar in ((False, "unsigned", 20_000), (True, "signed", 8_000)):
        yield figure(f"catch-up, {word}", [rate for rate, _ in found[sign]], bar=bar)
        yield figure(f"catch-up, {word}: processor time", [cost for _, cost in found[sign]], unit="us", better="lower")
    yield figure("opened, unsigned", measure_opening(sign=False))
    yield figure("opened, signed", measure_opening(sign=True))
    yield figure("signatures", measure_signatures())


def figure(
    name: str, runs: list[float], *, unit: str = "1/s", bar: float | None = None, better: str = "higher"
) -> dict[str, object]:
    return {"name": name, "unit": unit, "runs": runs, "bar": bar, "better": better}


def main() -> None:
    for each in figures():
        if "--json" in sys.argv:
            print(json.dumps(each), flush=True)
        else:
            runs = each["runs"]
            assert isinstance(runs, list)
            print(f"{each['name']:36} {statistics.median(runs):10,.0f} {each['unit']:4} bar {each['bar']}", flush=True)


if __name__ == "__main__":
    main()
