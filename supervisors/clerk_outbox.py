"""What a clerk answers about the outbox: the desk's items in the words of the socket."""

from __future__ import annotations

from ferryman.protocol.control import replies
from ferryman.protocol.control.standing import short_group
from ferryman.supervisors.outbox_desk import OutboxDesk, OutboxItem, OutboxPage


def show_page(page: OutboxPage) -> replies.OutboxPage:
    return replies.OutboxPage(
        group=None if page.group is None else short_group(page.group),
        count=page.count,
        bytes=page.bytes,
        waiting=[show_item(item) for item in page.items],
        refused=[blob_id.hex() for blob_id, _ in page.refused],
    )


def show_item(item: OutboxItem) -> replies.OutboxEntry:
    return replies.OutboxEntry(
        id=item.id.hex(),
        size=item.size,
        queued_at=item.queued_at,
        state=item.state,
        introduction=item.introduction,
    )


async def drop(queue: OutboxDesk, prefix: str, *, dry: bool) -> replies.Dropped:
    """Drop the blob whose id begins so, or only say which it is. Raises BadInput, NotEnabled."""
    item = await queue.find(prefix)
    if not dry:
        await queue.drop(item.id)
    return replies.Dropped(
        id=item.id.hex(), size=item.size, queued_at=item.queued_at, sent=item.state == "sent", gone=not dry
    )
