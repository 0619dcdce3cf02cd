"""What a client may say when: the part of a connection that needs no waiting. Messages in, requests for the router out.

| state            | takes                        | then                                       |
|------------------|------------------------------|--------------------------------------------|
| Awaiting message | 1 of the handshake, 32 bytes | message 2 goes out                         |
| Awaiting proof   | message 3, 64 bytes          | the peer's static key is its device ID     |
| Strange          | HELLO                        | Joining; anything else is ERROR 1000       |
| Joining          | nothing: WELCOME comes first | anything is ERROR 1000, closed             |
| Welcome          | PUSH PULL ACK PRESENCE DELETE| `requests`                                 |

What does not decrypt or is no MessagePack value ends the connection without a word (1008); nothing after it is read.
"""

from __future__ import annotations

from typing import TypeAlias

from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.relay.seats import Seat
from ferryman.protocol.crypto.noise import AwaitingProof, NoiseSession, respond
from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay.envelope import Frame, decode_frame
from ferryman.protocol.relay.errors import CloseCode, InvalidMessage, Refusal, WireCode
from ferryman.protocol.relay.group import judge_proof, judge_sender
from ferryman.protocol.relay.limits import MAX_HELLOS, websocket_limit
from ferryman.protocol.relay.messages import Ack, Delete, Error, Hello, Presence, Pull, Push

Request: TypeAlias = Push | Pull | Ack | Presence | Delete


class Session:
    """One connection from its first Noise message on. `seat` collects what is to be sent and how it ends."""

    def __init__(
        self,
        seat: Seat,
        *,
        static_private: bytes,
        ephemeral_private: bytes,
        max_blob_size: int,
    ) -> None:
        self._seat = seat
        self._static_private = static_private
        self._ephemeral_private = ephemeral_private
        self._max_blob_size = max_blob_size
        self._noise: AwaitingProof | NoiseSession | None = None
        self._hellos = 0
        self._integers = False
        self._messages = 0
        self.hello: Hello | None = None  # for the router; whoever takes it sets it back
        self.requests: list[Request] = []
        self.handshake: list[bytes] = []  # Noise messages to send as they are

    @property
    def noise(self) -> NoiseSession | None:
        """The finished handshake's ciphers."""
        return self._noise if isinstance(self._noise, NoiseSession) else None

    @property
    def over(self) -> bool:
        return self._seat.outgoing.closing is not None

    def take(self, message: bytes) -> bool:
        """One WebSocket message of the peer. Whether it buys time: the last of the handshake, a HELLO, then every one.

        Else an ERROR now and then, which nobody answers, would keep a connection that is in no group.
        """
        try:
            match self._noise:
                case None:
                    crash_point("connection.handshake")
                    self._noise, reply = respond(self._static_private, self._ephemeral_private, message)
                    self.handshake.append(reply)
                case AwaitingProof() as awaiting:
                    self._noise = awaiting.finish(message)
                    self._seat.device_id = self._noise.remote_static
                    return True
                case NoiseSession() as noise:
                    self._take_frame(noise.open_frame(message))
                    return self._seat.welcome or self.hello is not None
        except InvalidMessage as invalid:
            self._seat.refuse(Refusal(WireCode.INVALID_MESSAGE, invalid.message, closing=invalid.closing))
        except RemoteProtocolError:
            self._seat.close(CloseCode.POLICY, "unreadable")
        return False

    def count_messages(self) -> int:
        """Messages since this was asked last, of any kind."""
        count, self._messages = self._messages, 0
        return count

    def _take_frame(self, plain: bytes) -> None:
        self._messages += 1
        frame = decode_frame(plain, from_client=True)
        if isinstance(frame.message, Error):  # never answered
            return
        seat = self._seat
        refusal = judge_sender(frame, seat.device_id, seat.group_id if seat.welcome else None)
        if refusal is not None:
            self._seat.refuse(refusal)
        elif seat.welcome:
            self._take_request(frame)
        else:
            self._take_hello(frame)

    def _take_hello(self, frame: Frame) -> None:
        hello = frame.message
        self._hellos += 1
        if not isinstance(hello, Hello) or self._seat.joining or self._hellos > MAX_HELLOS:
            said = "one HELLO comes first, and is answered before anything else"
            self._seat.refuse(Refusal(WireCode.INVALID_MESSAGE, said, closing=True))
        elif hello.group_id != frame.group_id:
            self._seat.refuse(Refusal(WireCode.UNAUTHORIZED, "group_id differs from the envelope's"))
        else:
            self._integers = frame.bytes_as_integers
            self._check_proof(hello)

    def _check_proof(self, hello: Hello) -> None:
        noise = self.noise
        if noise is not None:
            proven = judge_proof(hello, noise.handshake_hash)
            if isinstance(proven, Refusal):
                self._seat.refuse(proven)
            else:
                self.hello = hello
                self._seat.joining, self._seat.proven = True, proven

    def _take_request(self, frame: Frame) -> None:
        match frame.message:
            case Push() | Pull() | Ack() | Presence() | Delete() as request:
                self.requests.append(request)
            case _:
                self._seat.refuse(Refusal(WireCode.INVALID_MESSAGE, "a second HELLO"))

    def message_limit(self) -> int:
        """The longest WebSocket message that is read now."""
        return websocket_limit(
            welcomed=self._seat.welcome, max_blob_size=self._max_blob_size, bytes_as_integers=self._integers
        )
