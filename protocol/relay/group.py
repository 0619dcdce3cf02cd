"""The law of one group on a relay (wire.md §5): who is in, what is acknowledged, what fits.

| asked with     | may answer                                                                              |
|----------------|-----------------------------------------------------------------------------------------|
| HELLO          | Admission, or 1001 (another history), 1002 (no or bad proof), 2002 (too many devices)   |
| PUSH           | nothing, 2001 (blob too large), 2002 (group full), 3000 (relay full)                    |
| PUSH, repeated | the first cursor, or 1000 (other bytes under the same ID)                               |
| PULL, ACK      | what it acknowledges, or 1000 (a cursor that was never given)                           |
| any frame      | nothing, or 1002 (another sender or group than the connection's)                        |

These are judgements over a small state; the blobs are in the relay's database, and the router that owns the group
does what a judgement says. Delivered is not acknowledged: only HELLO, PULL and ACK say that a device has something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ferryman.protocol.crypto.group_proof import proof_holds
from ferryman.protocol.relay import limits
from ferryman.protocol.relay.envelope import Frame
from ferryman.protocol.relay.errors import Refusal, WireCode
from ferryman.protocol.relay.messages import Hello, Pull

FIRST_CURSOR: Final = 1  # S4 §7.3's upsert, started so that the first blob is above "after 0"


@dataclass(frozen=True, slots=True)
class Device:
    """A registered device. `proven`: its HELLO carried a valid group_proof."""

    device_id: bytes
    device_name: str
    first_seen: int  # UNIX seconds, as all times here
    last_seen: int
    acked_cursor: int
    proven: bool


@dataclass(frozen=True, slots=True)
class Group:
    """One run of cursors. A group nobody has pushed to yet has max_cursor 0: every other history is unknown to it."""

    group_id: bytes
    incarnation: bytes  # 16 random bytes, made with the group
    max_cursor: int = 0
    closed: bool = False  # a valid proof was shown: strangers stay out
    devices: Mapping[bytes, Device] = field(default_factory=dict[bytes, Device])


@dataclass(frozen=True, slots=True)
class GroupLimits:
    max_blob_size: int = limits.MAX_BLOB_SIZE
    max_group_storage: int = limits.MAX_GROUP_STORAGE
    max_total: int = limits.MAX_TOTAL_STORAGE
    max_devices: int = limits.MAX_DEVICES_PER_GROUP
    default_ttl: int = limits.DEFAULT_TTL_SECONDS


@dataclass(frozen=True, slots=True)
class Admission:
    """`device` as registered from now on. Where the group closes: whose registrations, blobs and connections end."""

    device: Device
    closes: bool = False
    evicted: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class PullPlan:
    after_cursor: int
    limit: int
    acknowledges: int | None  # the device's acked_cursor from now on, None = as it was


def judge_sender(frame: Frame, device_id: bytes, group_id: bytes | None) -> Refusal | None:
    """Every envelope repeats the connection's device, and after HELLO its group (None before)."""
    if frame.sender_id != device_id:
        return Refusal(WireCode.UNAUTHORIZED, "sender_id is not the key of this connection")
    if group_id is not None and frame.group_id != group_id:
        return Refusal(WireCode.UNAUTHORIZED, "group_id is not the group of this connection")
    return None


def judge_proof(hello: Hello, handshake_hash: bytes) -> bool | Refusal:
    """Whether this HELLO proves membership. One field without the other, or a proof that does not hold, is refused."""
    if hello.group_key is None and hello.group_proof is None:
        return False
    if hello.group_key is None or hello.group_proof is None:
        return Refusal(WireCode.UNAUTHORIZED, "group_key and group_proof come together")
    if not proof_holds(hello.group_key, hello.group_proof, handshake_hash, hello.group_id):
        return Refusal(WireCode.UNAUTHORIZED, "the group proof does not hold")
    return True


def judge_hello(
    group: Group, hello: Hello, *, device_id: bytes, proven: bool, now: int, rules: GroupLimits
) -> Admission | Refusal:
    """`group` may be new: then only last_cursor 0 fits it. `proven` is the judge_proof of this connection."""
    if group.closed and not proven:
        return Refusal(WireCode.UNAUTHORIZED, "this group asks for a proof")
    if hello.last_cursor > 0:
        if hello.incarnation is not None and hello.incarnation != group.incarnation:
            return Refusal(WireCode.UNKNOWN_GROUP, "the group's cursors were started anew")
        if hello.last_cursor > group.max_cursor:
            return Refusal(WireCode.UNKNOWN_GROUP, "no such cursor in this group")
    known = group.devices.get(device_id)
    others = [device for device in group.devices.values() if device.device_id != device_id]
    evicted: tuple[bytes, ...] = ()
    closes = proven and not group.closed
    if closes:
        evicted = tuple(device.device_id for device in others if not device.proven)
        others = [device for device in others if device.proven]
    counted = known is not None and _holds_back(known, now, rules.default_ttl)
    if not counted and sum(_holds_back(device, now, rules.default_ttl) for device in others) >= rules.max_devices:
        return Refusal(WireCode.GROUP_QUOTA_EXCEEDED, f"the group has {rules.max_devices} devices already")
    device = Device(
        device_id,
        hello.device_name,
        known.first_seen if known else now,
        now,
        max(known.acked_cursor if known else 0, hello.last_cursor),
        proven,
    )
    return Admission(device, closes, evicted)


def judge_push(
    *, blob_id: bytes, size: int, group_stored: int, total_stored: int, rules: GroupLimits
) -> Refusal | None:
    """For a blob that is not a repeat: a retry of what is stored must get its cursor from a full group too.

    What is stored counts payloads and BLOB_OVERHEAD each."""
    if size > rules.max_blob_size:
        return Refusal(WireCode.BLOB_TOO_LARGE, f"a sealed blob has at most {rules.max_blob_size} bytes", ref=blob_id)
    if group_stored + size + limits.BLOB_OVERHEAD > rules.max_group_storage:
        return Refusal(WireCode.GROUP_QUOTA_EXCEEDED, "the group's storage is full", ref=blob_id)
    if total_stored + size + limits.BLOB_OVERHEAD > rules.max_total:
        return Refusal(WireCode.RELAY_OVERLOADED, "the relay's storage is full", retry_after_ms=60_000, ref=blob_id)
    return None


def judge_repeat(*, blob_id: bytes, payload_hash: bytes, first_hash: bytes, first_cursor: int) -> int | Refusal:
    """A blob_id that the group has seen: the cursor it got, when the bytes are the same. Hashes are SHA-256."""
    if payload_hash == first_hash:
        return first_cursor
    return Refusal(WireCode.INVALID_MESSAGE, "another blob has this blob_id", ref=blob_id)


def judge_ack(group: Group, device: Device, cursor: int) -> int | Refusal:
    """The device's acked_cursor from now on. It never goes down."""
    if cursor > group.max_cursor:
        return Refusal(WireCode.INVALID_MESSAGE, "an acknowledged cursor that was never given")
    return max(device.acked_cursor, cursor)


def judge_pull(group: Group, device: Device, pull: Pull) -> PullPlan | Refusal:
    limit = limits.pull_limit(pull.limit)
    if pull.ack is False:
        return PullPlan(pull.after_cursor, limit, None)
    acknowledged = judge_ack(group, device, pull.after_cursor)
    if isinstance(acknowledged, Refusal):
        return acknowledged
    return PullPlan(pull.after_cursor, limit, acknowledged)


def min_cursor(smallest_buffered: int | None, max_cursor: int) -> int:
    """A client below this - 1 has missed blobs that are gone."""
    return max_cursor + 1 if smallest_buffered is None else smallest_buffered


def clamp_ttl(ttl: int, default_ttl: int) -> int:
    """Seconds that a blob is kept: 0 or above the default = the default."""
    return ttl if 0 < ttl <= default_ttl else default_ttl


def carries_inline(size: int, wanted: int | None) -> bool:
    """Whether a NOTIFY takes the payload along. `wanted`: `inline` of the device's HELLO."""
    return wanted is not None and size <= min(wanted, limits.INLINE_CAP_BYTES)


def after_hello(group: Group, admission: Admission) -> Group:
    devices = {device_id: device for device_id, device in group.devices.items() if device_id not in admission.evicted}
    devices[admission.device.device_id] = admission.device
    return replace(group, closed=group.closed or admission.closes, devices=devices)


def after_ack(group: Group, device_id: bytes, acked_cursor: int) -> Group:
    """`acked_cursor`: as judged."""
    device = replace(group.devices[device_id], acked_cursor=acked_cursor)
    return replace(group, devices={**group.devices, device_id: device})


def _holds_back(device: Device, now: int, default_ttl: int) -> bool:
    return now - device.last_seen < default_ttl
