"""A note book on every device: what is typed on one shows on all. Beside it runs a relay: ferryman relay

python examples/embed_in_trio.py HOME  ws://127.0.0.1:8080               makes the group and shows an invite
python examples/embed_in_trio.py HOME2 ws://127.0.0.1:8080 SHORT-CODE    joins it
"""

import sys
from pathlib import Path

import trio

import ferryman


async def show(runtime: ferryman.Runtime) -> None:
    async for blob in runtime.sync.blobs():
        print(blob.sender.hex()[:6], blob.data.decode())


async def main(home: str, relay_url: str, code: str = "") -> None:
    config = ferryman.RuntimeConfig(home=Path(home), keys={"allow_plain": True}, sync={"direct_invites": True})
    async with ferryman.open_runtime(config) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(show, runtime)
        if code:
            await runtime.sync.join_invite(code, relay_url)
        else:
            await runtime.sync.enable(relay_url)
            print("invite:", (await runtime.sync.create_invite()).short_code)
        async for line in trio.wrap_file(sys.stdin):
            await runtime.sync.push(line.strip().encode())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
