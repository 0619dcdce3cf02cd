"""The HTTP on the relay's port, sentence by sentence of the wire's page (§8)."""

import json
from base64 import urlsafe_b64decode
from hashlib import sha256
from pathlib import Path

import pytest
import trio

from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import make_simulated_ports
from tests.fakes.relay_world import MEMORY_PATH, memory_relay
from tests.integration.relay.test_relay_http import ask, post

PATH = "/invite/ABCD2345"


@pytest.mark.req("W8-17")
async def test_an_invite_that_is_not_there_looks_the_same_whatever_became_of_it(autojump_clock):
    async with memory_relay() as world:
        answers = {"never made": await ask(world, "GET", PATH)}
        await post(world, "ABCD2345")
        await ask(world, "GET", PATH)
        answers["claimed"] = await ask(world, "GET", PATH)
        token = json.loads((await post(world, "ABCD2345"))[2])["revoke_token"]
        await ask(world, "DELETE", PATH, headers=[f"Authorization: Bearer {token}"])
        answers["revoked"] = await ask(world, "GET", PATH)
        await post(world, "ABCD2345")
        await trio.sleep(601)
        answers["expired"] = await ask(world, "GET", PATH)
        assert {status for status, _, _ in answers.values()} == {404}
        assert len({(body, *sorted(fields.items())) for _, fields, body in answers.values()}) == 1


@pytest.mark.req("W8-22")
async def test_an_invites_token_is_32_bytes_and_the_relay_keeps_its_hash(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world:
        tokens = [json.loads((await post(world, key))[2])["revoke_token"] for key in ("ABCD2345", "ABCD2346")]
        database = disk.connect(Path(MEMORY_PATH))
        kept = database.execute("SELECT revoke_hash FROM invites ORDER BY lookup_key").fetchall()
        database.close()
    assert [len(urlsafe_b64decode(token + "=")) for token in tokens] == [32, 32]
    assert tokens[0] != tokens[1]
    assert [bytes(found) for (found,) in kept] == [sha256(token.encode()).digest() for token in tokens]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH"])
@pytest.mark.req("W8-19")
async def test_only_get_claims_an_invite(autojump_clock, method):
    async with memory_relay() as world:
        await post(world, "ABCD2345")
        headers = () if method == "HEAD" else ["Content-Length: 0"]
        status, fields, body = await ask(world, method, PATH, headers=headers)
        assert (status, fields.get("allow"), body) == (405, "get, delete", b"")
        assert (await ask(world, "GET", PATH))[0] == 200


@pytest.mark.req("W8-14")
async def test_an_invite_of_four_kibibytes_is_the_largest(autojump_clock):
    async with memory_relay() as world:
        assert (await post(world, "ABCD2345", "x" * 4097))[0] == 413
        assert (await post(world, "ABCD2345", "x" * 4096))[0] == 201
