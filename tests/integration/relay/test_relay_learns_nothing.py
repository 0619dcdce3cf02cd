"""What whoever takes over a relay finds there: its files, its log and its memory, searched byte by byte."""

import base64
import contextlib
from pathlib import Path

import pytest

from ferryman.actors.recorder import look
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.harbour import GROUP
from ferryman.supervisors.runtime import open_runtime
from tests.fakes.relay_process import relay_process, write_config

CANARY = b"a canary sings so that it is heard wherever it is"


def memory_of(pid):
    """All that the process can write to, as it is now."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            addresses, mode, *_ = line.split()
            first, last = (int(address, 16) for address in addresses.split("-"))
            if mode.startswith("rw"):
                with contextlib.suppress(OSError):  # a page of the kernel's
                    memory.seek(first)
                    found.append(memory.read(last - first))
    return b"".join(found)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="this system shows no process's memory as a file")
@pytest.mark.req("S4-02", "S4-34", "S4-38")
async def test_neither_content_nor_secret_is_in_a_relays_files_log_or_memory(tmp_path):
    relay_files = tmp_path / "relay"
    relay_files.mkdir()
    config = write_config(relay_files, log={"file": str(relay_files / "log"), "level": "debug"})
    device = RuntimeConfig(
        home=tmp_path / "device",
        keys=KeysConfig(passphrase=None, allow_plain=True, use_os_keychain=False),
        sync=SyncConfig(device_name="a", direct_invites=True),
    )
    async with relay_process(config) as relay, open_runtime(device) as a:
        await a.sync.enable(f"ws://127.0.0.1:{relay.port}")
        await a.sync.push(CANARY)
        invite = await a.sync.create_invite()
        secret = (await look(a.system.ref(GROUP))).member.secret.reveal()
        places = {path.name: path.read_bytes() for path in relay_files.iterdir() if path.is_file()}
        places["memory"] = memory_of(relay.process.pid)
        for place in ("memory", "relay.db-wal"):
            assert a.sync.device_id() in places[place], "what a relay does know is found by this search"
        code = invite.short_code.encode()
        for treasure in (CANARY, secret, base64.b64encode(secret).rstrip(b"="), code, code.replace(b"-", b"")):
            assert [name for name, held in places.items() if treasure in held] == []
