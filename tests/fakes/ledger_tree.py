"""A tree with a ledger in it, over a disk and a key store in memory.

tree = LedgerTree()
async with tree.system(ChildSpec("counter", body)) as system: ...
"""

from __future__ import annotations

from ferryman.actors.ledger import ledger_body
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.keychain import MemoryKeychain
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.ledger_world import PATH, TABLE


class LedgerTree:
    """`system()` is one life of the actors; disk and key store outlive it."""

    def __init__(self):
        self.disk = MemoryDisk()
        self.keychain = MemoryKeychain()
        self.tables = (TABLE,)
        self.lives = 0

    def system(self, *more):
        self.lives += 1
        ports = make_simulated_ports(self.lives, disk=self.disk)
        body = ledger_body(PATH, ports, self.keychain, tables=self.tables, wal_bytes=0)
        return open_system(Supervisor([ChildSpec("ledger", body), *more]))
