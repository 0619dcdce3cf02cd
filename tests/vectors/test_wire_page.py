"""What docs/wire.md says in tables and bytes is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ferryman.protocol.relay import messages
from ferryman.protocol.relay.errors import WireCode
from ferryman.supervisors.relay_config import CleanupConfig, LimitsConfig, ServerConfig, StorageConfig
from tests.integration.stranger.wire import FIELDS
from tests.vectors.wire_example import FIRST_SYNC, PULL, example

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "wire.md").read_text()
TABLES = {"server": ServerConfig, "storage": StorageConfig, "cleanup": CleanupConfig, "limits": LimitsConfig}
MESSAGE_ROWS = re.findall(r"^\| ([A-Z_]+) \| (0x[0-9a-f]{2}) \| (client|relay|either) \| (.*) \|$", PAGE, re.MULTILINE)
STRUCTS = {code.name: struct for struct, code in messages.CODES.items()}


def fields_of(cell):
    """`name` or `name`? at the start of each field."""
    return [name + optional for name, optional in re.findall(r"(?:^|, )`([a-z_]+)`(\??)", cell)]


def declared(struct):
    required = len(struct.__struct_fields__) - len(struct.__struct_defaults__)
    return [name + "?" * (place >= required) for place, name in enumerate(struct.__struct_fields__)]


SETTLED = {
    "HELLO": "W4-01",
    "WELCOME": "W4-02",
    "PUSH": "W4-03",
    "PUSH_ACK": "W4-04",
    "PULL": "W4-05",
    "PULL_RESPONSE": "W4-06",
    "ACK": "W4-07",
    "PRESENCE": "W4-08",
    "NOTIFY": "W4-09",
    "PEERS": "W4-10",
    "DELETE": "W4-11",
    "ERROR": "W4-12",
}


@pytest.mark.parametrize(
    ("name", "code", "sender", "cell"),
    [pytest.param(*row, id=row[0], marks=pytest.mark.req(SETTLED[row[0]])) for row in MESSAGE_ROWS],
)
def test_the_page_names_each_message_as_it_is(name, code, sender, cell):
    struct = STRUCTS[name]
    senders = (struct in messages.FROM_CLIENT, struct in messages.FROM_RELAY)
    assert senders == {"client": (True, False), "relay": (False, True), "either": (True, True)}[sender]
    assert int(code, 16) == messages.CODES[struct]
    assert fields_of(cell) == declared(struct) == FIELDS[name].split()


@pytest.mark.req("W4-13")
def test_the_page_names_every_message_and_the_two_structs_inside():
    assert sorted(row[0] for row in MESSAGE_ROWS) == sorted(STRUCTS)
    for title, struct in (("an entry", messages.BlobEntry), ("a peer", messages.PeerDevice)):
        (cell,) = re.findall(rf"^\| {title} \| \| \| (.*) \|$", PAGE, re.MULTILINE)
        assert fields_of(cell) == declared(struct)


def test_the_page_names_every_error():
    rows = re.findall(r"^\| (\d{4}) \| ([A-Z_]+) \|", PAGE, re.MULTILINE)
    assert {name: int(code) for code, name in rows} == {code.name: code.value for code in WireCode}


def test_the_pages_limits_are_the_defaults():
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| (\d+) \|", PAGE, re.MULTILINE)
    assert len(rows) > 10
    for table, key, default in rows:
        assert TABLES[table].model_fields[key].default == int(default), key
    told = {key for table, key, _ in rows if table == "limits"}
    assert told == set(LimitsConfig.model_fields)


def test_the_pages_example_is_the_transcripts():
    assert PAGE.endswith(example() + "\n"), "put what `python -m tests.vectors.wire_example` prints at the page's end"


def test_the_examples_lines_are_the_whole_frame():
    """Reading the digits off the page, top to bottom, gives the bytes."""
    step = json.loads(FIRST_SYNC.read_text())["conversations"][0]["steps"][PULL]
    blocks = re.findall(r"^```\n(.*?)\n```$", example(), re.MULTILINE | re.DOTALL)
    digits = ["".join(re.findall(r"^ *([0-9a-f]+)(?:  |$)", block, re.MULTILINE)) for block in blocks]
    assert digits[2] == step["frame"]
    assert step["frame"].endswith(digits[1])
    assert digits[3] == step["sealed"]
