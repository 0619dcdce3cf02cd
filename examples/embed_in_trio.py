"""A note book on every device: what is typed on one shows on all. Beside it runs a relay: ferryman relay

python examples/embed_in_trio.py HOME  ws://127.0.0.1:8080               makes the group and shows an invite
python examples/embed_in_trio.py HOME2 ws://127.0.0.1:8080 SHORT-CODE    joins it
"""

import sys

import trio

import ferryman


async def show(runtime: ferryman.Runtime) -> None:
    async for blob in runtime.sync.blobs():
        print(blob.sender.hex()[:6], blob.data.decode())


async def main(*arguments: str) -> None:
    home, relay_url, *code = arguments
    config = {"home": home, "keys": {"allow_plain": True}, "sync": {"direct_invites": True}}
    async with ferryman.open_runtime(config) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(show, runtime)
        await (runtime.sync.join_invite(code[0], relay_url) if code else runtime.sync.enable(relay_url))
        if not code:
            print("invite:", (await runtime.sync.create_invite()).short_code)
        async for line in trio.wrap_file(sys.stdin):
            await runtime.sync.enqueue(line.strip().encode())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:]) if len(sys.argv) > 2 else sys.exit(__doc__)
