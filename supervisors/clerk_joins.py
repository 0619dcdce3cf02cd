"""The clerk's part in letting devices in: one invite a conversation, who comes by it, and the answer."""

from __future__ import annotations

import trio

from ferryman.actors.control import Say
from ferryman.protocol.control import replies
from ferryman.protocol.control.events import describe
from ferryman.protocol.errors import AppError, BadInput
from ferryman.protocol.identity import show_id
from ferryman.protocol.sync.errors import InviteRefused
from ferryman.protocol.sync.events import JoinRequested, JoinShown, JoinWaiting
from ferryman.supervisors.blobs import Invite
from ferryman.supervisors.invitations import TAKE_BACK_SECONDS, Invitation
from ferryman.supervisors.sync import Sync


class Inviting:
    """asks: a person decides who is let in."""

    def __init__(self, sync: Sync, *, asks: bool) -> None:
        self._sync = sync
        self._asks = asks
        self._invite: Invite | None = None
        self._asked: JoinRequested | None = None

    async def create(self, *, direct: bool) -> replies.Invited:
        invite = self._invite = await self._sync.create_invite(direct=direct)
        self._asked = None
        in_room = bool(invite.room_id)
        return replies.Invited(
            link=invite.link,
            short_code=invite.short_code,
            expires_at=invite.expires_at,
            room=in_room,
            asks=in_room and self._asks,
        )

    async def asked(self) -> replies.Reply:
        """Raises InviteRefused when the invite ended and let nobody in."""
        invitation = self._open()
        try:
            if not self._asks:
                await invitation.joined()
                return replies.JoinEnded(joined=True)
            request = self._asked = await invitation.request()
        except trio.Cancelled:  # the asker has hung up, so nobody will answer
            with trio.move_on_after(TAKE_BACK_SECONDS) as scope:
                scope.shield = True
                await self.cancel()
            raise
        return replies.JoinAsked(device=show_id(request.device_id), device_name=request.device_name, sas=request.sas)

    async def answer(self, sas: str, *, approve: bool) -> replies.Reply:
        """Raises InviteRefused when it is too late, and BadInput for a number that was not asked about."""
        invitation = self._open()
        if self._asked is None or self._asked.sas != sas:
            raise BadInput("nobody asked to be let in with this number")
        if not approve:
            await self._sync.refuse(self._asked)
            try:
                await invitation.joined()
            except InviteRefused:
                return replies.JoinEnded(joined=False)
        else:
            await self._sync.approve(self._asked)
            await invitation.joined()
        return replies.JoinEnded(joined=True)

    async def cancel(self) -> replies.Reply:
        if self._invite is None:
            raise BadInput("no invite was made over this connection")
        return replies.Cancelled(in_time=await self._sync.cancel_invite(self._invite))

    def _open(self) -> Invitation:
        if self._invite is None or not self._invite.room_id:
            raise BadInput("no invite that asks was made over this connection")
        return Invitation(self._sync.invitations, self._invite)


async def joined(sync: Sync, text: str, relay_url: str | None, say: Say) -> None:
    """Join, and meanwhile tell what a person has to know. Raises as `join_invite`."""
    failed: list[AppError] = []
    async with sync.events() as events, trio.open_nursery() as nursery:

        async def tell() -> None:
            async for event in events:
                if isinstance(event, JoinWaiting | JoinShown) and (happened := describe(event)) is not None:
                    await say(happened)

        nursery.start_soon(tell)
        try:
            await sync.join_invite(text, relay_url)
        except AppError as error:  # as it is, not in a group
            failed.append(error)
        nursery.cancel_scope.cancel()
    for error in failed:
        raise error
