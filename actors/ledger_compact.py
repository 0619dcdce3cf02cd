"""Moving what snapshots stand for into an archive file, so that the ledger stays as short as its streams' lives are.

    ledger.db  1 ........ k | k+1 .... n          k+1 is the first record that a replay still needs
               '----------'   '--------'
               ledger.db.1-k  ledger.db            the archive keeps its own base and chain: it verifies by itself,
                                                   and its last chain is the base that the rest stands on

| step                                                          | a power cut just after it                           |
|---------------------------------------------------------------|-----------------------------------------------------|
| a snapshot for each stream whose last record is none          | the next replay starts there; compact again         |
| the anchor                                                    | the same                                            |
| the archive, in one transaction, and checked                  | the records are in both files; compact again        |
| the records, bodies, values out of the ledger, in one         | done, but for the file's size                       |
| VACUUM                                                        | done                                                |

A stream with more than `CARRY_RECORDS` records since its last snapshot is not carried over by us: its actor takes a
snapshot of the state, and until then nothing from its first such record on is moved.
"""

from __future__ import annotations

CARRY_RECORDS = 1_000
"""A snapshot that carries more events than this would be no shorter than what it stands for."""
