"""A tree with a ledger in it, over a disk and a key store in memory.

tree = LedgerTree()
async with tree.system(ChildSpec("counter", body)) as system: ...
"""

from __future__ import annotations

from ferryman.actors.ledger import ledger_body
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.ledger_world import PATH, TABLE
from tests.fakes.memory_disk import MemoryDisk
from tests.fakes.memory_keychain import MemoryKeychain
from tests.fakes.ports import make_fake_ports


class LedgerTree:
    """`system()` is one life of the actors; disk and key store outlive it."""

    def __init__(self):
        self.disk = MemoryDisk()
        self.keychain = MemoryKeychain()
        self.tables = (TABLE,)
        self.lives = 0

    def system(self, *more):
        self.lives += 1
        ports = make_fake_ports(self.lives, disk=self.disk)
        body = ledger_body(PATH, ports, self.keychain, tables=self.tables, wal_bytes=0)
        return open_system(Supervisor([ChildSpec("ledger", body), *more]))
