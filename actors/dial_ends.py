"""Why a connection to a relay did not come about, in words for a person.

| what the library raised                 | what is said                                        |
|-----------------------------------------|-----------------------------------------------------|
| a status in the place of an upgrade     | the status, and what it means at a relay            |
| something without words, a cause beside | the cause's words, else the name of what was raised |
"""

from __future__ import annotations

from typing import cast

from trio_websocket import ConnectionRejected

STATUSES = {
    401: "it asks for an API key: set sync.api_key, which is sent over wss:// only",
    404: "no relay answers at this path",
    429: "too many connections from this address: it is tried again later",
    503: "the relay is full, or about to stop",
}


def refusal(error: BaseException) -> str:
    """Of an upgrade."""
    if not isinstance(error, ConnectionRejected):
        return words(error)
    meaning = STATUSES.get(error.status_code)
    return f"HTTP {error.status_code}" if meaning is None else f"HTTP {error.status_code}, {meaning}"


def words(error: BaseException) -> str:
    """Never empty: some errors of TLS and of sockets have a cause and no text."""
    return str(error) or str(error.__cause__ or "") or type(error).__name__


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, out of however many nurseries."""
    error = group.exceptions[0]
    if not isinstance(error, BaseExceptionGroup):
        return error
    return first(cast("BaseExceptionGroup[BaseException]", error))
