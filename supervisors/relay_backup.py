"""A copy of a relay's database, made while the relay runs.

    the database --read transaction--> VACUUM INTO a draft --> marked --> synced --> the name it shall have

One read transaction sees one moment, whatever the relay commits meanwhile; the copy holds no free pages, so nothing
that was deleted. It is marked as a run that did not end in order: a relay that starts with it begins new cursors, also
when nobody thinks of --restored, for what came after the copy is lost and its cursors must not be given twice.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import cast

import apsw

from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.ports import Disk
from ferryman.actors.relay.schema import APPLICATION_ID, SCHEMA_VERSION
from ferryman.actors.relay.sql import Sql
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.whole_files import write_whole


def back_up(disk: Disk, database: Path, target: Path) -> int:
    """Copy. Blocking. Returns the copy's bytes. Raises BadInput with one line; then there is no copy."""
    if not database.exists():
        raise BadInput(f"{database}: there is no such database; name a relay.toml or --database")
    try:
        return write_whole(disk, target, lambda draft: copy_into(disk, database, draft))
    except FileExistsError:
        raise BadInput(f"{target}: exists already; a backup overwrites nothing") from None
    except OSError as error:
        raise BadInput(f"{target}: cannot be written: {error.strerror}") from error
    except apsw.NotADBError as error:
        raise BadInput(f"{database}: is not an SQLite database") from error
    except apsw.Error as error:
        raise BadInput(f"{database}: cannot be copied to {target}: {error}") from error


def copy_into(disk: Disk, database: Path, draft: Path) -> None:
    with closing(cast("Sql", disk.connect(database, read_only=True))) as source:
        if source.pragma("application_id") != APPLICATION_ID:
            raise BadInput(f"{database}: is the database of another program")
        if source.pragma("user_version") != SCHEMA_VERSION:
            raise BadInput(f"{database}: is of another version of the relay")
        source.set_busy_timeout(5000)
        crash_point("backup.copy")
        source.execute("VACUUM INTO ?", (str(draft),))
    with closing(cast("Sql", disk.connect(draft))) as copy:
        copy.pragma("journal_mode", "DELETE")
        crash_point("backup.mark")
        copy.execute("UPDATE lifetimes SET ended_in_order = 0")
