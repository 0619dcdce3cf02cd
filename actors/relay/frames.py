"""The relay's own frames: a message in an envelope that names the relay, the group and the time."""

from __future__ import annotations

from ferryman.actors.ports import Clock, Entropy
from ferryman.protocol.relay.envelope import encode_frame
from ferryman.protocol.relay.messages import Message

NONCE_BYTES = 24
DRAWN_BYTES = 128 * NONCE_BYTES  # drawn at one time: each draw is a system call


class FrameWriter:
    """`relay_id`: the relay's static public key, 32 bytes, the sender of every frame."""

    def __init__(self, relay_id: bytes, clock: Clock, entropy: Entropy) -> None:
        self.relay_id = relay_id
        self._clock = clock
        self._entropy = entropy
        self._nonces: list[bytes] = []

    def frame(self, message: Message, *, group_id: bytes, cursor: int = 0) -> bytes:
        """A frame's plaintext; it may go to several recipients."""
        return encode_frame(
            message,
            sender_id=self.relay_id,
            group_id=group_id,
            timestamp=self._clock.now(),
            nonce=self._nonce(),
            cursor=cursor,
        )

    def _nonce(self) -> bytes:
        if not self._nonces:
            drawn = self._entropy.random_bytes(DRAWN_BYTES)
            self._nonces = [drawn[at : at + NONCE_BYTES] for at in range(0, DRAWN_BYTES, NONCE_BYTES)]
        return self._nonces.pop()
