"""What a ledger says when it cannot be used, each with the file, the record and what to do.

| code                | what was found                                     | what to do                               |
|---------------------|----------------------------------------------------|------------------------------------------|
| LEDGER_BROKEN       | a chain that does not hold, a missing record       | restore a backup                         |
| LEDGER_UNREADABLE   | no ledger, or a record that does not decode        | restore a backup                         |
| LEDGER_UNKNOWN_TYPE | a record of a type that nobody registered          | start what wrote it                      |
| LEDGER_TOO_NEW      | a file of a newer version                          | upgrade                                  |
| LEDGER_ROLLED_BACK  | it ends before its anchor, or holds another record | restore the newest, or `accept-rollback` |
| LEDGER_IN_USE       | another process has it                             | end that process                         |
| LEDGER_NO_KEY       | the key store has no key for it, or another's      | restore the key store                    |
| LEDGER_UNWRITABLE   | the directory or the file cannot be written        | make it writable, or make room           |
"""

from __future__ import annotations

from ferryman.protocol.errors import AppError


class LedgerError(AppError):
    """The ledger cannot be opened or recovered; nothing was changed. `record`: the first wrong one, where known."""

    code = "LEDGER_BROKEN"

    def __init__(self, message: str, *, record: int | None = None) -> None:
        super().__init__(message)
        self.record = record


class LedgerBroken(LedgerError):
    code = "LEDGER_BROKEN"


class LedgerUnreadable(LedgerError):
    code = "LEDGER_UNREADABLE"


class LedgerUnknownType(LedgerError):
    code = "LEDGER_UNKNOWN_TYPE"


class LedgerTooNew(LedgerError):
    code = "LEDGER_TOO_NEW"


class LedgerRolledBack(LedgerError):
    code = "LEDGER_ROLLED_BACK"


class LedgerInUse(LedgerError):
    code = "LEDGER_IN_USE"


class LedgerNoKey(LedgerError):
    code = "LEDGER_NO_KEY"


class LedgerUnwritable(LedgerError):
    code = "LEDGER_UNWRITABLE"


class RecordUnreadable(AppError):
    """These bytes are no record's body. Whoever knows file and record says so in a LedgerUnreadable."""

    code = "RECORD_UNREADABLE"


class UnknownRecordType(AppError):
    """No imported module registers this name. Whoever knows file and record says so in a LedgerUnknownType."""

    code = "RECORD_UNKNOWN_TYPE"

    def __init__(self, name: str) -> None:
        super().__init__(f"no type is registered as {name!r}")
        self.name = name
