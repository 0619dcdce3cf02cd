"""`ferryman relay --check`: what a relay would do with this configuration. Starts, makes and changes nothing.

Raises BadInput at the first thing that would keep it from starting, or would let nobody in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ferryman.actors.ports import Disk
from ferryman.actors.relay.schema import APPLICATION_ID, SCHEMA_VERSION
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.relay_config import RelayConfig
from ferryman.supervisors.relay_reload import differences
from ferryman.supervisors.relay_tls import load_tls, look_at

SQLITE = b"SQLite format 3\0"
HEADER_BYTES = 100
VERSION_AT, APPLICATION_AT = 60, 68  # offsets in SQLite's file header
KEY_BYTES = 32


def check(config: RelayConfig, disk: Disk) -> Iterator[str]:
    """Look at everything that a start would need; yields what it would do, a line each. Blocking."""
    yield f"listens on {config.server.bind}, {transport(config)}"
    yield database(config, disk)
    yield key(config)
    if config.server.status_socket:
        require_folder(config.status_socket, config.status_socket.absolute().parent)
    yield f"answers `ferryman relay status` at {config.status_socket}"
    yield access(config)
    cleanup = config.cleanup
    then = "and gives freed pages back" if cleanup.vacuum_on_cleanup else "and keeps freed pages"
    yield f"cleans up every {cleanup.interval} s {then}"
    if config.log.file:
        log = Path(config.log.file)
        require_folder(log, log.absolute().parent)
    yield f"logs {config.log.level} and above to {config.log.file or 'standard error'}"
    changed = list(differences(RelayConfig(), config))
    yield f"other than by default: {', '.join(changed) or 'nothing'}"


def transport(config: RelayConfig) -> str:
    server = config.server
    context = load_tls(server)
    if context is None or server.tls_certificate is None:
        return "without TLS" + (": a proxy has to end it" if server.allow_plaintext else ", for this machine only")
    until = look_at(context, server.tls_certificate).get("notAfter", "?")
    return f"TLS 1.3 with {server.tls_certificate}, valid until {until}"


def database(config: RelayConfig, disk: Disk) -> str:
    path = config.database
    if not path.exists():
        require_room(path)
        return f"makes a database at {path}"
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    if head and not head.startswith(SQLITE):
        raise BadInput(f"{path}: is not an SQLite database; name another file or move it away")
    if head and number_at(head, APPLICATION_AT) not in (0, APPLICATION_ID):
        raise BadInput(f"{path}: is the database of another program; name another file")
    if head and number_at(head, VERSION_AT) > SCHEMA_VERSION:
        raise BadInput(f"{path}: has version {number_at(head, VERSION_AT)}, this relay knows {SCHEMA_VERSION}")
    if not os.access(path, os.W_OK):
        raise BadInput(f"{path}: cannot be written by this user")
    return f"uses the database {path}{', which a relay is using now' if is_in_use(config, disk) else ''}"


def number_at(head: bytes, offset: int) -> int:
    return int.from_bytes(head[offset : offset + 4], "big")


def is_in_use(config: RelayConfig, disk: Disk) -> bool:
    if not config.lock_file.exists():
        return False
    release = disk.lock(config.lock_file)
    if release is None:
        return True
    release()
    return False


def key(config: RelayConfig) -> str:
    path = config.key_file
    if not path.exists():
        return f"makes its key at {path}"
    if path.stat().st_size != KEY_BYTES:
        raise BadInput(f"{path}: is no relay key: restore the right one")
    return f"has its key in {path}"


def require_room(path: Path) -> None:
    """Whether a file could be made there."""
    parents = path.absolute().parents
    require_folder(path, next(parent for parent in parents if parent.exists()))


def require_folder(path: Path, folder: Path) -> None:
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{path}: cannot be made: {folder} is no directory that this user may write to")


def access(config: RelayConfig) -> str:
    count = len(config.access.keys)
    keys = "the API key" if count == 1 else f"one of {count} API keys"
    if config.server.require_key:
        return f"lets in who has {keys}"
    if config.access.create_groups == "token":
        return f"lets everybody in, and create groups who has {keys}"
    return "lets everybody in and create groups"
