"""How a device lets others in, and gets in itself: by a room made for one join, or directly (wire §9).

    async with runtime.sync.invite() as invitation:
        show(invitation.qr_code, invitation.short_code)
        request = await invitation.request()             somebody asks: the number is on both screens
        if same_on_both_screens(request.sas):
            await invitation.approve()                   returns when the device is let in
        else:
            await invitation.refuse()

Leaving the block without an answer takes the invite back. What was answered is on record: it outlives a crash.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio

from ferryman.actors.core.errors import ActorStopped, NoSuchActor
from ferryman.actors.core.ref import Ref
from ferryman.actors.recorder import look
from ferryman.protocol.errors import AppError, BadInput
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.machine import Command
from ferryman.protocol.sync import room_state as it
from ferryman.protocol.sync.errors import AlreadyJoined, Closed, InviteRefused, Offline
from ferryman.protocol.sync.events import JoinRequested
from ferryman.protocol.sync.group import GroupState, JoinGroup, Membership
from ferryman.protocol.sync.invite import LIFETIME_SECONDS, GroupInvite
from ferryman.protocol.sync.room_commands import Approve, Cancel, EnterRoom, OpenRoom, Refuse
from ferryman.supervisors.blobs import Invite
from ferryman.supervisors.harbour import GROUP, ROOMS, Harbour
from ferryman.supervisors.invites import InviteDesk, spending

SECRET_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 32
TAKE_BACK_SECONDS = 5.0  # for a relay that answers; the room is closed before, whether it does or not

Do = Callable[[str, Command[Any]], Awaitable[Any]]


class Invitations:
    """One a runtime. do: has a durable actor carry a command out, and raises what its refusal means."""

    def __init__(self, harbour: Harbour, ref: Callable[[str], Ref[Any]], do: Do) -> None:
        sync = harbour.config.sync
        self._harbour = harbour
        self._ref = ref
        self._do = do
        self._desk = InviteDesk(harbour.ports, sync.ca_file, sync.link_scheme)

    # --- the creator

    async def create(self, member: Membership, *, direct: bool) -> Invite:
        """Raises Offline, RelayRefused, and an AppError when too many are open."""
        direct = direct or self._harbour.config.sync.direct_invites
        return await (self._create_direct(member) if direct else self.open_room(member))

    async def _create_direct(self, member: Membership) -> Invite:
        """The invite holds the group's own secret."""
        key = member.relay_key
        return await self._desk.create(
            GroupInvite(
                member.relay_url,
                member.group_id,
                member.secret.reveal(),
                member.creator_id,
                self._harbour.ports.clock.now() + LIFETIME_SECONDS,
                relay_key=key,
            )
        )

    async def open_room(self, member: Membership) -> Invite:
        """The invite opens a room made for it. Raises as `create`."""
        harbour, entropy = self._harbour, self._harbour.ports.entropy
        secret = entropy.random_bytes(SECRET_BYTES)
        room_id = (await harbour.new_group(secret, entropy.random_bytes(SALT_BYTES))).group_id
        expires_at = harbour.ports.clock.now() + LIFETIME_SECONDS
        us, url, key = harbour.device.device_id, member.relay_url, member.relay_key
        await self._do(ROOMS, OpenRoom(it.Room(room_id, Secret(secret), url, us, expires_at, key)))
        try:
            invite = GroupInvite(url, room_id, secret, us, expires_at, relay_key=key, bootstrap=True)
            return await self._desk.create(invite)
        except (AppError, trio.Cancelled):  # nobody can know of it
            await self._leave(room_id)
            raise

    async def cancel(self, invite: Invite, relay_url: str) -> bool:
        """True: nobody has come in by it, and nobody will."""
        if not invite.room_id:
            return await self._desk.cancel(invite, relay_url)
        in_time = await self._leave(invite.room_id)
        with suppress(Offline, AppError), trio.move_on_after(TAKE_BACK_SECONDS):
            await self._desk.cancel(invite, relay_url)
        return in_time

    async def request(self, room_id: bytes) -> JoinRequested:
        """Who asks to be let in. Raises InviteRefused when the invite has ended before anybody did."""
        while True:
            news = self._harbour.room_news
            state = await self._state()
            stay = state.stays.get(room_id)
            if stay is None:
                raise refused(state.ended.get(room_id, it.EXPIRED))
            match stay.phase:
                case it.Comparing(guest, sas):
                    return JoinRequested(room_id, guest.device_id, guest.device_name, sas)
                case it.Closing(outcome) | it.Parting(outcome):
                    raise refused(outcome)
                case _:
                    await news.wait()

    async def approve(self, request: JoinRequested) -> None:
        """Raises InviteRefused when the invite has ended meanwhile."""
        ports = self._harbour.ports
        state: GroupState = await look(self._ref(GROUP))
        if state.member is None:
            raise InviteRefused("this device is in no group any more")
        group_id, secret = state.member.group_id, state.member.secret
        seed = ports.entropy.random_bytes(SECRET_BYTES)
        await self._do(ROOMS, Approve(request.room_id, request.sas, group_id, secret, seed, ports.ids.new_id()))

    async def refuse(self, request: JoinRequested) -> None:
        """Raises as `approve`."""
        await self._do(ROOMS, Refuse(request.room_id, request.sas, self._harbour.ports.ids.new_id()))

    async def ended(self, room_id: bytes) -> str:
        """How the room ended; on return nothing of it is left on this device. Raises Closed."""
        while True:
            news = self._harbour.room_news
            state = await self._state()
            if room_id not in state.stays:
                return state.ended.get(room_id, it.EXPIRED)
            await news.wait()

    # --- the joiner

    async def join(self, code_or_link: str, relay_url: str | None) -> None:
        """A code is spent once it is fetched: from then on a caller that is cancelled waits until what it opens is on
        record. Cancelled while a person decides, it leaves the room."""
        by_code = "://" not in code_or_link
        configured = self._harbour.config.sync.access().url
        with trio.CancelScope(shield=by_code) as scope:
            invite = await self._desk.read(code_or_link, relay_url or configured)
            with spending(by_code=by_code):
                await self._record(invite, relay_url or invite.relay_url)
            if invite.bootstrap:
                scope.shield = False
                await self.wait_inside(invite.group_id)

    async def _record(self, invite: GroupInvite, relay_url: str) -> None:
        harbour = self._harbour
        invite.check_expiry(harbour.ports.clock.now())
        bare = harbour.config.sync.bare_groups and not invite.bootstrap
        keys = await harbour.joined_group(invite.secret, invite.group_id, bare=bare)
        creator, key, secret = invite.creator_id, invite.relay_key, Secret(invite.secret)
        if not invite.bootstrap:
            is_bare = keys.group_key is None
            await self._do(GROUP, JoinGroup(invite.group_id, secret, relay_url, creator, key, is_bare))
            return
        state: GroupState = await look(self._ref(GROUP))
        if state.member is not None:
            raise AlreadyJoined("this device belongs to a group: a home directory holds one")
        harbour.check_relay_url(relay_url)
        room = it.Room(invite.group_id, secret, relay_url, creator, invite.expires_at, key)
        nonce_j = Secret(harbour.ports.entropy.random_bytes(NONCE_BYTES))
        us, name = harbour.device.device_id, harbour.config.sync.device_name
        await self._do(ROOMS, EnterRoom(room, us, name, nonce_j, harbour.ports.ids.new_id()))

    async def wait_inside(self, room_id: bytes) -> None:
        """Until this device is a member. Cancelled, it leaves. Raises InviteRefused."""
        try:
            outcome = await self.ended(room_id)
        except trio.Cancelled:
            await self._leave(room_id)
            raise
        if outcome != it.JOINED:
            raise refused(outcome)

    # --- inside

    async def _leave(self, room_id: bytes) -> bool:
        """On record, also for a caller that is cancelled."""
        left = False
        with trio.CancelScope(shield=True), suppress(ActorStopped, NoSuchActor):
            left = await self._do(ROOMS, Cancel(room_id, self._harbour.ports.ids.new_id()))
        return left

    async def _state(self) -> it.RoomsState:
        if self._harbour.board.closed:
            raise Closed
        try:
            return await look(self._ref(ROOMS))
        except (ActorStopped, NoSuchActor) as gone:
            raise Closed from gone


class Invitation:
    """An invite that is open, and the answer to who comes by it."""

    def __init__(self, invitations: Invitations, invite: Invite) -> None:
        self.invite = invite
        self._invitations = invitations
        self._asked: JoinRequested | None = None

    @property
    def link(self) -> str:
        return self.invite.link

    @property
    def short_code(self) -> str:
        return self.invite.short_code

    @property
    def qr_code(self) -> str:
        return self.invite.qr_code

    @property
    def expires_at(self) -> int:
        return self.invite.expires_at

    async def request(self) -> JoinRequested:
        """Wait for a device that asks. Raises InviteRefused when the invite ends before."""
        self._asked = await self._invitations.request(self.invite.room_id)
        return self._asked

    async def approve(self) -> None:
        """Let in the one who asked, whose number is the same on both screens. Returns when the relay has it.

        Raises InviteRefused when the invite has ended meanwhile; BadInput before anybody has asked."""
        await self._invitations.approve(self._request())
        await self.joined()

    async def refuse(self) -> None:
        """The number is another one, or nobody is expected: the invite ends, and lets nobody in."""
        await self._invitations.refuse(self._request())

    def _request(self) -> JoinRequested:
        if self._asked is None:
            raise BadInput("nobody has asked to be let in yet: await request() first")
        return self._asked

    async def joined(self) -> None:
        """Wait for the end, as with `sync.approve_joins = false`. Raises InviteRefused when nobody was let in."""
        outcome = await self._invitations.ended(self.invite.room_id)
        if outcome != it.JOINED:
            raise refused(outcome)


@asynccontextmanager
async def open_invitation(
    invitations: Invitations, find_member: Callable[[], Awaitable[Membership]]
) -> AsyncGenerator[Invitation]:
    member = await find_member()
    invite = await invitations.open_room(member)
    try:
        yield Invitation(invitations, invite)
    finally:
        with trio.move_on_after(TAKE_BACK_SECONDS) as scope:
            scope.shield = True
            await invitations.cancel(invite, member.relay_url)


def refused(outcome: str) -> InviteRefused:
    return InviteRefused(it.SENTENCES[outcome])
