"""The demo from beginning to end. Each act is a few lines; how processes are started and asked is in director.py.

| it ends                                     | exit code              | what stays           |
|---------------------------------------------|------------------------|----------------------|
| with a verdict                              | 0, 1 when it is bad    | nothing              |
| by SIGINT, SIGTERM or SIGHUP                | 128 + the signal       | nothing              |
| by one of these after the verdict (`keep`)  | the verdict's          | the folder           |
"""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import trio
from rich.markup import escape

from ferryman.actors.ports import Ports
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.words import number
from ferryman.supervisors.demo.director import (
    DeviceProcess,
    Stage,
    create_group,
    invite_from,
    join_group,
    open_stage,
    push_half,
    unacknowledged,
    wait_sent,
)
from ferryman.supervisors.demo.encore import quoted, run_encore
from ferryman.supervisors.demo.failure import DemoFailed, one_cause
from ferryman.supervisors.demo.folder import Folder, open_folder
from ferryman.supervisors.demo.judge import Case, Verdict
from ferryman.supervisors.demo.processes import LAST_LINES, Child, describe_end
from ferryman.supervisors.demo.screen import Outcome, Screen
from ferryman.supervisors.demo.source import Source

COPIES = 8  # outbox, its WAL, the relay's buffer, its WAL, and two devices with a ledger and a copy each
SPARE_BYTES = 256 * 1024 * 1024
BEFORE = "before"

RELAY_TOML = """\
# Written by `ferryman demo`. One person pushes a whole folder in seconds, so the limits that guard a public relay
# (messages, bytes, groups and connections a source) are raised far above their defaults here. Do not copy them.
[server]
bind = "127.0.0.1:{port}"

[log]
file = "{folder}/relay.log"

[storage]
database = "{folder}/relay.db"
max_group_storage = {quota}
max_total = {quota}

[limits]
connections_per_ip = 100
handshakes_per_minute = 10000
messages_per_minute = 10000000
ingress_bytes_per_minute = {bytes_a_minute}
egress_bytes_per_minute = {bytes_a_minute}
invite_posts_per_minute = 100
invite_gets_per_minute = 100
"""


@dataclass(slots=True)
class Ending:
    """How the demo came to its end: by a verdict, or before it by a signal."""

    signal: int = 0
    verdict: Verdict | None = None

    @property
    def exit_code(self) -> int:
        if self.verdict is None:
            return 128 + self.signal
        return 0 if self.verdict.clean else 1


async def run_demo(source: Source, screen: Screen, *, port: int, keep: bool, ports: Ports) -> int:
    """Play it in a folder of its own. Returns the exit code. Raises BadInput, DemoFailed, BrokenPipeError."""
    ending = Ending()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals, one_cause():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end_at_signal, signals, ending, nursery.cancel_scope)
            with open_folder(keep=keep) as folder:  # inside: a signal that comes while it is removed finds it done
                try:
                    await perform(source, folder, screen, ending, port, ports)
                finally:
                    if keep:
                        screen.say(f"The folder stays until you remove it: rm -r {quoted(folder.path)}")
            nursery.cancel_scope.cancel()
    if ending.verdict is None:
        screen.tell(f"stopped by {signal.Signals(ending.signal).name}; nothing runs on")
    return ending.exit_code


async def end_at_signal(signals: AsyncIterator[int], ending: Ending, scope: trio.CancelScope) -> None:
    async for arrived in signals:
        ending.signal = arrived
        scope.cancel()


async def perform(source: Source, folder: Folder, screen: Screen, ending: Ending, port: int, ports: Ports) -> None:
    check_room(source, folder.path)
    started = trio.current_time()
    links = f"; {source.left_out} links and special files left out" if source.left_out else ""
    carried = f"{number(len(source.files), 'file')}, {number(source.total_bytes, 'byte')}"
    screen.tell(f"{carried} from {escape(str(source.root))}{links}")
    passphrase = ports.entropy.random_bytes(16).hex()
    async with open_stage(folder, passphrase) as stage:
        config = await write_config(source, folder.path, port)
        unsent, relay, devices = await play(source, stage, screen, config)
        ending.verdict = await ask_judge(source, stage)
        screen.show_outcome(
            Outcome(
                files=len(source.files),
                bytes=source.total_bytes,
                blobs=source.total_parts,
                unacknowledged_at_kill=unsent,
                reconnects=sum(standing.reconnects for standing in stage.standings.values()),
                seconds=trio.current_time() - started,
                verdict=ending.verdict,
            )
        )
        if folder.keep:
            await run_encore(stage, screen, passphrase)
        for device in devices:
            await device.stop()
        await relay.stop()


async def play(
    source: Source, stage: Stage, screen: Screen, config: Path
) -> tuple[int, Child, tuple[DeviceProcess, ...]]:
    total = source.total_parts
    half = total // 2
    relay = await stage.start_relay(config)
    url = stage.relay_url
    pin_port(config, stage.listening.port)
    keep_copies(stage.folder)
    screen.tell(f"a relay listens on {url}; its rate limits are raised for this demo")
    device_a = await stage.start_device("A")
    await create_group(device_a, url)
    invited = await invite_from(device_a)
    screen.show_invite("device A's", invited.link, invited.short_code)
    device_b = await stage.start_device("B")
    await join_group(device_b, url, invited)
    screen.tell("device B joined by the short code")

    a, b = stage.standings["A"], stage.standings["B"]
    stage.on_progress = lambda: draw(stage, screen, total)
    with screen.bars():
        await push_half(device_a, source, 0, half)
        await wait_sent(device_a)
        await device_a.wait_until(lambda: a.acknowledged >= half * 3 // 4)
        relay.freeze()  # from here on nothing can be acknowledged: what A sends now is in flight when the relay dies
        await push_half(device_a, source, half, total)
        await wait_sent(device_a)
        await device_a.wait_until(lambda: a.progress.in_flight > 0)
        await relay.kill()
        in_flight = await unacknowledged(device_a)
        screen.tell(f"the relay was killed (SIGKILL) with {in_flight} pushes unacknowledged")
        relay = await stage.start_relay(config)
        screen.tell("the relay was started again on the same database")

        await device_b.wait_until(lambda: b.progress.received >= min(total, half + 1))
        await device_b.kill()
        received = b.progress.received
        device_b = await stage.start_device("B")
        screen.tell(f"device B was killed (SIGKILL) with {received:,} of {total:,} blobs and came back")

        await device_a.wait_until(lambda: a.progress.waiting == 0)
        device_c = await stage.start_device("C")
        await join_group(device_c, url, await invite_from(device_a))
        screen.tell("device C joined late, by a short code of its own")
        c = stage.standings["C"]
        await device_b.wait_until(lambda: b.progress.received >= total)
        await device_c.wait_until(lambda: c.progress.received >= total)
    screen.tell("B and C hold everything; the judge reads the disk")
    return in_flight, relay, (device_a, device_b, device_c)


def draw(stage: Stage, screen: Screen, total: int) -> None:
    for name, standing in stage.standings.items():
        if name == "A":
            screen.advance("A pushed  ", standing.acknowledged, total)
        else:
            screen.advance(f"{name} received", standing.progress.received, total)


def check_room(source: Source, folder: Path) -> None:
    """Raises BadInput when the disk cannot hold the demo's copies."""
    need = source.total_bytes * COPIES + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < need:
        raise BadInput(
            f"{folder}: {free // 2**20:,} MiB free, the demo needs {need // 2**20:,} MiB for its copies; "
            "free some space, or set TMPDIR to a larger disk"
        )


async def write_config(source: Source, folder: Path, port: int) -> Path:
    quota = source.total_bytes * 2 + SPARE_BYTES
    config = folder / "relay.toml"
    text = RELAY_TOML.format(port=port, folder=folder, quota=quota, bytes_a_minute=max(2**33, quota * 8))
    await trio.Path(config).write_text(text)
    return config


def pin_port(config: Path, port: int) -> None:
    """The relay comes back where it was: the port that it was given first is now written down."""
    text = config.read_text()
    config.write_text(text.replace('bind = "127.0.0.1:0"', f'bind = "127.0.0.1:{port}"'))


def relay_files(folder: Path) -> list[Path]:
    """Whatever the relay writes: database, WAL, log, standard error."""
    return sorted(path for path in folder.glob("relay*") if path.is_file() and path.suffix != ".toml")


def keep_copies(folder: Path) -> None:
    """The relay's files as they are before any device came: what they hold now cannot be a device's."""
    copies = folder / BEFORE
    copies.mkdir()
    for path in relay_files(folder):
        shutil.copy(path, copies)


async def ask_judge(source: Source, stage: Stage) -> Verdict:
    case = Case(
        root=str(source.root),
        files=tuple((file.name, file.sha256) for file in source.files),
        devices=tuple(
            (f"device {name}", str(stage.folder / f"device-{name.lower()}" / "files"))
            for name in stage.standings
            if name != "A"
        ),
        relay_files=tuple(map(str, relay_files(stage.folder))),
        before=tuple(map(str, relay_files(stage.folder / BEFORE))),
    )
    done = await trio.run_process(
        [sys.executable, "-m", "ferryman", "demo-judge"],
        stdin=msgspec.json.encode(case),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DemoFailed(f"the judge's process {describe_end(done.returncode)}", tuple(said[-LAST_LINES:]))
    return msgspec.json.decode(done.stdout, type=Verdict)
