"""The worked example of docs/wire.md, laid out from the first sync's transcript.

python -m tests.vectors.wire_example        prints it, to be put at the end of the page
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.stranger.wire import CODES, names_of, pack

FIRST_SYNC = Path(__file__).parent / "transcripts" / "first-sync.json"
PULL = 5  # the step that is shown: the shortest with two levels
COLUMN = 34


def example() -> str:
    (conversation,) = json.loads(FIRST_SYNC.read_text())["conversations"]
    handshake = "\n".join(
        f"{number}, {side:<8}{wrapped(message, 11)}"
        for number, side, message in zip(
            (1, 2, 3), ("client", "relay", "client"), conversation["handshake"], strict=True
        )
    )
    step = conversation["steps"][PULL]
    fields = {name: step["fields"][name] for name in names_of(step["message"])}
    envelope = step["envelope"]
    payload = pack(fields)
    head = {
        "version": 1,
        "msg_type": CODES[step["message"]],
        **{key: bytes.fromhex(envelope[key]) for key in ("sender_id", "group_id")},
        **{key: envelope[key] for key in ("cursor", "timestamp")},
        "nonce": bytes.fromhex(envelope["nonce"]),
        "payload": payload,
    }
    return "\n\n".join(
        (
            f"```\n{handshake}\n\nhash       {wrapped(conversation['handshake_hash'], 11)}\n```",
            f"Then the client says {step['message']}. Its message is a map of {len(fields)}:",
            f"```\n{laid_out(fields)}\n```",
            f"These {len(payload)} bytes are the `payload` of the envelope, a map of {len(head)}:",
            f"```\n{laid_out(head)}\n```",
            f"The frame has {len(pack(head))} bytes, so it is one piece. It is the client's third frame: sealed with "
            "counter 2, sixteen bytes longer, it is the WebSocket message",
            f"```\n{wrapped(step['sealed'], 0)}\n```",
        )
    )


def laid_out(entries: dict[str, object]) -> str:
    """One line an entry: the bytes of its key, of its value, and what they say."""
    lines = [bytes([0x80 | len(entries)]).hex()]
    for key, value in entries.items():
        said = f"{key}: {len(value)} bytes" if isinstance(value, bytes) else f"{key}: {json.dumps(value)}"
        lines.append(f"{pack(key).hex():<{COLUMN}}{said}\n{' ' * 4}{wrapped(pack(value).hex(), 4)}")
    return "\n".join(lines)


def wrapped(text: str, indent: int) -> str:
    """64 digits a line."""
    return f"\n{' ' * indent}".join(text[at : at + 64] for at in range(0, len(text), 64))


if __name__ == "__main__":
    print(example())
