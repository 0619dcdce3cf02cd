"""`ferryman trust`: which key a device accepts of its relay, when it is another one than before.

| the relay                 | said                                   | exit code |
|---------------------------|----------------------------------------|-----------|
| has that key              | connected                              | 0         |
| cannot be reached now     | that it is accepted, and not connected | 0         |
| shows another             | which, in one line; it stays away      | 2         |
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ferryman.protocol.control import replies, requests
from ferryman.protocol.errors import BadInput
from ferryman.protocol.identity import read_id, show_id
from ferryman.supervisors.cli.command import run_on_device
from ferryman.supervisors.cli.device import Device
from ferryman.supervisors.cli.home import COMMON, Common
from ferryman.supervisors.cli.line import ask
from ferryman.supervisors.cli.screen import Screen
from ferryman.supervisors.cli.words import connection

SETTLE_SECONDS = 10.0


def trust(key: Annotated[str, Parameter(allow_leading_hyphen=True)], /, *, common: Common = COMMON) -> int:
    """Accept this key of the relay from now on, and no other.

    Parameters
    ----------
    key
        The relay's key, as its operator tells it: `ferryman relay` prints it when it starts.
    """
    relay_key = read_key(key)

    async def work(device: Device, screen: Screen) -> int:
        request = requests.TrustRelay(relay_key=relay_key, settle_seconds=SETTLE_SECONDS)
        async with device.line() as line:
            standing = await ask(line, request, replies.Standing)
        shown = show_id(relay_key)
        said = f"The relay's key is {shown} from now on: this device is {connection(standing)}."
        await screen.show(standing, said, relay_key=shown)
        return 0

    return run_on_device(common, work)


def read_key(text: str) -> bytes:
    """Raises BadInput."""
    try:
        return read_id(text)
    except BadInput:
        raise BadInput("a relay's key is 44 characters of base64, as `ferryman relay` prints it") from None
