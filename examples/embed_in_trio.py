"""A note book on every device: ferryman in the nursery of a Trio application. Needs a relay: ferryman relay

    python examples/embed_in_trio.py HOME                 the first device makes the group and shows an invite
    python examples/embed_in_trio.py HOME2 SHORT-CODE     another one joins; what is typed on one shows on all
"""

import sys
from pathlib import Path

import ferryman
import trio


async def show(runtime: ferryman.Runtime) -> None:
    async for blob in runtime.sync.blobs():
        print(f"[{blob.sender.hex()[:6]}] {blob.data.decode()}")


async def main(home: str, code: str = "", relay_url: str = "ws://127.0.0.1:8080") -> None:
    config = ferryman.RuntimeConfig(home=Path(home), keys={"allow_plain": True}, sync={"direct_invites": True})
    async with ferryman.open_runtime(config) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(show, runtime)
        if code:
            await runtime.sync.join_invite(code, relay_url)
        else:
            await runtime.sync.enable(relay_url)
            print("invite:", (await runtime.sync.create_invite()).short_code, flush=True)
        async for line in trio.wrap_file(sys.stdin):
            await runtime.sync.enqueue(line.strip().encode())
        while runtime.sync.outbox().count:
            await trio.sleep(0.05)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
