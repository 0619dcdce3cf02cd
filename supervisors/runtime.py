"""A device's runtime: its tree, and how it begins and ends. `async with open_runtime(config) as runtime`.

    runtime (rest_for_one: whoever stands later needs those before)
      control (dynamic)                        the local socket, after all others and gone before them
      ledger                                   the one writer of this device's truth
      infrastructure (one_for_one)             key_store
      sync (one_for_one)                       outbox, inbox, clients (dynamic), group, rooms

    home locked, keys opened --> device key --> tree up --> the host's block --> tree down --> keys closed

It runs in the host's task: no thread and no loop of its own. The host's data stays the host's; nothing here waits for a
relay, neither to begin nor to end.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import trio

from ferryman.actors.core.errors import RecoveryFailed
from ferryman.actors.core.events import Crashed, DeadLetter, Ended, Event, Stuck
from ferryman.actors.group import group
from ferryman.actors.inbox import inbox
from ferryman.actors.key_store import key_store_body
from ferryman.actors.keychain import FindBackend, KeychainChoice, OpenKeychain, open_keychain
from ferryman.actors.keychain_os import find_os_backend
from ferryman.actors.ledger import ledger_body
from ferryman.actors.ledger_file import WAL_BYTES
from ferryman.actors.outbox import outbox
from ferryman.actors.ports import Ports
from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.recorder import look
from ferryman.actors.rooms import rooms
from ferryman.protocol.crypto.keys import SEED_BYTES, DeviceKeys
from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.group import GroupState
from ferryman.protocol.sync.inbox import START, InboxState
from ferryman.protocol.sync.intake import resume
from ferryman.protocol.sync.outbox import TABLE, OutboxState, Totals
from ferryman.supervisors.clerk import DeviceClerk
from ferryman.supervisors.config import RuntimeConfig
from ferryman.supervisors.control import serve_commands
from ferryman.supervisors.harbour import GROUP, INBOX, OUTBOX, Harbour
from ferryman.supervisors.lifecycle import Lifecycle
from ferryman.supervisors.node import TreeNode
from ferryman.supervisors.room_keeper import RoomKeeper
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.sync import Sync
from ferryman.supervisors.system import System, open_system

SEED = "device-seed"
LEDGER_MAILBOX = 4_096  # every durable actor's records and replays
DURABLE_MAILBOX = 1_000

log = logging.getLogger("ferryman")


class Runtime:
    """A running device. `warning`: one line on how its keys are kept, "" when they are sealed."""

    def __init__(self, sync: Sync, lifecycle: Lifecycle, system: System, warning: str) -> None:
        self.sync = sync
        self.lifecycle = lifecycle
        self.system = system
        self.warning = warning

    def tree(self) -> TreeNode:
        """A picture of every actor as it is now; `print` shows it."""
        return self.system.tree()


@asynccontextmanager
async def open_runtime(
    config: RuntimeConfig | Mapping[str, Any],
    *,
    ports: Ports | None = None,
    rng: Random | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_dead_letter: Callable[[DeadLetter], None] | None = None,
    wal_bytes: int = WAL_BYTES,
) -> AsyncGenerator[Runtime]:
    """Run a device around a block. What it knew when its last process ended, however it ended, it knows again.

    config: a RuntimeConfig, or its tables as mappings: {"home": "...", "sync": {"relay_url": "wss://..."}}.
    Raises KeychainError (missing, locked, in use, ...), RecoveryFailed, BadInput, BackendUnavailable. rng: seeds the
    jitter of restarts and reconnects. on_event: hears of crashes and restarts; by default they are logged under
    "ferryman". wal_bytes: length of the ledger's log from the start; a simulation, whose disk counts each write, takes
    0.
    """
    if not isinstance(config, RuntimeConfig):
        config = RuntimeConfig.check(config)
    config.sync.access()  # what cannot sync makes no device
    ports = make_real_ports() if ports is None else ports
    logging.getLogger("ferryman").setLevel(config.sync.log_level.upper())
    keys = await ports.threads.run(partial(open_keychain, choice(config, ports)))
    try:
        if keys.warning:
            log.warning(keys.warning)
        device = DeviceKeys.from_seed(await ports.threads.run(partial(load_seed, keys, config, ports)))
        harbour = Harbour(config, ports, device)
        chance = rng or Random(int.from_bytes(ports.entropy.random_bytes(8), "big"))  # noqa: S311 - jitter
        async with open_system(
            tree(harbour, keys, wal_bytes), rng=chance, on_event=on_event or report, on_dead_letter=on_dead_letter
        ) as system:
            harbour.start_child = system.start_child
            await show_what_is_known(harbour, system)
            sync = Sync(harbour, system.ref)
            clerk = partial(DeviceClerk, config, ports, sync, system.ref, keys.warning, takes=config.control.takes)
            try:
                async with serve_commands(config, ports, system, clerk):
                    yield Runtime(sync, Lifecycle(harbour, sync), system, keys.warning)
            finally:
                harbour.board.close()
                harbour.wake_rooms()
    finally:
        with trio.CancelScope(shield=True):
            await ports.threads.run(keys.close)


def choice(config: RuntimeConfig, ports: Ports) -> KeychainChoice:
    secret = config.keys.passphrase
    finder: FindBackend | None = find_os_backend if config.keys.use_os_keychain else None
    return KeychainChoice(
        config.home,
        ports.disk,
        ports.entropy,
        passphrase=None if secret is None else secret.get_secret_value(),
        allow_plain=config.keys.allow_plain,
        find_backend=finder,
    )


def load_seed(keys: OpenKeychain, config: RuntimeConfig, ports: Ports) -> bytes:
    """This device's one secret, given or made at its first start (S4 §4.3). Raises BadInput when another is given."""
    given = None if config.sync.device_keypair is None else config.sync.device_keypair.get_secret_value()
    seed = keys.keychain.get(SEED)
    if seed is None:
        seed = given or ports.entropy.random_bytes(SEED_BYTES)
        keys.keychain.set(SEED, seed)
    elif given not in (None, seed):
        raise BadInput(f"{config.home}: is a device with other keys than sync.device_keypair: name another home")
    return seed


def tree(harbour: Harbour, keys: OpenKeychain, wal_bytes: int) -> Supervisor:
    ports = harbour.ports
    write = ledger_body(harbour.config.ledger, ports, keys.keychain, tables=(TABLE,), wal_bytes=wal_bytes)
    clients = Supervisor(dynamic=True, because="a group that cannot sync stops no other")
    sync = Supervisor(
        [
            ChildSpec("outbox", outbox(ports), capacity=DURABLE_MAILBOX),
            ChildSpec("inbox", inbox(ports, harbour.mark), capacity=DURABLE_MAILBOX),
            ChildSpec("clients", clients),
            ChildSpec("group", group(ports, harbour.start_client_from, harbour.introduce)),
            ChildSpec("rooms", rooms(ports, RoomKeeper(harbour))),
        ],
        because="each reads the ledger again and asks the others only when they are there",
    )
    infrastructure = Supervisor(
        [ChildSpec("key_store", key_store_body(keys, ports))], because="none of them needs another"
    )
    commands = Supervisor(dynamic=True, because="a socket for commands ends no device")
    return Supervisor(
        [
            ChildSpec("control", commands),
            ChildSpec("ledger", write, capacity=LEDGER_MAILBOX),
            ChildSpec("infrastructure", infrastructure),
            ChildSpec("sync", sync),
        ],
        strategy="rest_for_one",
        because="everything stands on what is recorded",
    )


async def show_what_is_known(harbour: Harbour, system: System) -> None:
    """The figures of `status` and its like, before a client runs."""
    state: GroupState = await look(system.ref(GROUP))
    if state.member is None:
        return
    inbox_state: InboxState = await look(system.ref(INBOX))
    outbox_state: OutboxState = await look(system.ref(OUTBOX))
    board = harbour.board
    position = inbox_state.positions.get(state.member.group_id, START)
    board.last_cursor = max(board.last_cursor, position.through)
    board.show_intake(resume(harbour.device.device_id, position.through, position.above))
    lane = outbox_state.lanes.get(state.member.group_id)
    if lane is not None:
        board.show_totals(Totals(outbox_state.steps, lane.shelf.count, lane.shelf.size))


def report(event: Event) -> None:
    match event:
        case Crashed(cause=RecoveryFailed()):
            log.warning("%s", event)  # whoever opened the runtime, or started the child, is told what is wrong
        case Crashed():
            log.error("%s", event)
        case Stuck(path, _, seconds):
            log.error("%s was cancelled and is still there after %.0f s", path, seconds)
        case Ended(path, reason) if reason is not None:
            log.warning("%s has ended for good: %s", path, type(reason).__name__)
        case _:
            pass
