"""Invites by the page's section 9: the payload, the link, the short code, and the relay's shelf for it."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.parse
from typing import Any

from tests.integration.stranger import xchacha
from tests.integration.stranger.keys import argon2id, sha256

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
DOMAIN = b"ferryman/short-code/1"
READ_AS = str.maketrans("ILO", "110", "- ")


def base64_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def bytes_of(text: str) -> bytes:
    """Either alphabet, padded or not."""
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def write_payload(
    relay_url: str, group_id: bytes, secret: bytes, creator_id: bytes, expires_at: int, **more: object
) -> bytes:
    entries = {"v": 1, "r": relay_url, "g": base64_of(group_id), "s": base64_of(secret), "c": base64_of(creator_id)}
    return json.dumps({**entries, "e": expires_at, **more}).encode()


def read_payload(payload: bytes) -> dict[str, Any]:
    entries = json.loads(payload)
    return {key: bytes_of(value) if key in ("g", "s", "c", "k", "i") else value for key, value in entries.items()}


def write_link(payload: bytes, scheme: str = "ferryman") -> str:
    return f"{scheme}://sync?invite={base64.urlsafe_b64encode(payload).decode().rstrip('=')}"


def read_link(link: str) -> bytes:
    _, _, value = link.partition("?invite=")
    return bytes_of(urllib.parse.unquote(value))


def write_code(entropy: bytes) -> str:
    """10 bytes make 16 letters of five bits."""
    number = int.from_bytes(entropy, "big")
    letters = "".join(LETTERS[number >> 5 * place & 31] for place in reversed(range(16)))
    return "-".join(letters[at : at + 4] for at in (0, 4, 8, 12))


def _halves(code: str) -> tuple[bytes, bytes]:
    letters = code.upper().translate(READ_AS).encode()
    return letters[:8], letters[8:]


def lookup_key(code: str) -> str:
    return _halves(code)[0].decode()


def _code_key(code: str) -> bytes:
    lookup, secret = _halves(code)
    return argon2id(secret, salt=sha256(DOMAIN, lookup)[:16], kib=65_536, passes=3)


def seal_under_code(payload: bytes, code: str, nonce: bytes) -> str:
    sealed = nonce + xchacha.seal(_code_key(code), nonce, payload, DOMAIN + _halves(code)[0])
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def open_under_code(encrypted_payload: str, code: str) -> bytes:
    sealed = bytes_of(encrypted_payload)
    return xchacha.open_sealed(_code_key(code), sealed[:24], sealed[24:], DOMAIN + _halves(code)[0])


# --- the relay's shelf


def ask(port: int, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    """(status, headers in lower case, the JSON of the answer or None)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        sent = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, sent, named if sent is None else {"Content-Type": "application/json", **named})
        answer = connection.getresponse()
        data = answer.read()
        json_came = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, json_came and json.loads(data)
    finally:
        connection.close()


def leave(port: int, code: str, encrypted_payload: str) -> tuple[int, dict[str, str], Any]:
    return ask(port, "POST", "/invite", {"lookup_key": lookup_key(code), "encrypted_payload": encrypted_payload})


def claim(port: int, code: str) -> tuple[int, dict[str, str], Any]:
    """The code as it was typed: the relay brings the key into its canonical form too."""
    return ask(port, "GET", f"/invite/{code.replace('-', '')[:8]}")
