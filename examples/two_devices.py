"""Two devices and a relay in one process: the phone pushes, the laptop receives. python examples/two_devices.py"""

import tempfile
from pathlib import Path

import trio

import ferryman


def device(home: Path) -> dict[str, object]:
    return {"home": home, "keys": {"allow_plain": True}, "sync": {"direct_invites": True}}


async def main(folder: Path) -> None:
    relay_config = {"server": {"bind": "127.0.0.1:0"}, "storage": {"database": str(folder / "relay.db")}}
    async with (
        ferryman.open_relay(relay_config) as relay,
        ferryman.open_runtime(device(folder / "phone")) as phone,
        ferryman.open_runtime(device(folder / "laptop")) as laptop,
    ):
        url = f"ws://127.0.0.1:{relay.address[1]}"
        await phone.sync.enable(url)
        invite = await phone.sync.create_invite()
        await laptop.sync.join_invite(invite.short_code, url)
        await phone.sync.push(b"hello from the phone")
        async for blob in laptop.sync.blobs():
            print(blob.cursor, blob.data.decode())
            await blob.taken()
            break


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        trio.run(main, Path(folder))
