"""An event of sync as a line: one word for machines, a few for people, and what it is about."""

from __future__ import annotations

from ferryman.protocol.control.replies import Happened
from ferryman.protocol.control.standing import connection_of
from ferryman.protocol.identity import show_id
from ferryman.protocol.sync import events


def describe(event: events.SyncEvent) -> Happened | None:
    """None for what another event says as well."""
    match event:
        case events.StatusChanged(status):
            return describe_status(status)
        case events.BlobAvailable(id=blob_id, cursor=cursor, sender=sender):
            text = f"blob {cursor} is there"
            return Happened(what="arrived", text=text, id=blob_id.hex(), cursor=cursor, sender=show_id(sender))
        case events.BlobPushed(id=blob_id, cursor=cursor):
            return Happened(what="pushed", text=f"the relay has blob {cursor}", id=blob_id.hex(), cursor=cursor)
        case events.BlobRejected(id=blob_id):
            return Happened(what="rejected", text=event.why, id=blob_id.hex())
        case events.Error(message=message):
            return Happened(what="error", text=message)
        case events.ResyncRequired(reason=reason):
            return Happened(what="resync", text=f"the relay does not hold everything any more: {reason}")
        case events.HistoryGap(sender=sender, first=first, last=last):
            text = f"blobs {first} to {last} of a device are missing"
            return Happened(what="gap", text=text, sender=show_id(sender))
        case events.HistoryGapClosed(sender=sender, first=first, last=last):
            text = f"blobs {first} to {last} of a device came after all"
            return Happened(what="gap-closed", text=text, sender=show_id(sender))
        case events.HistoryFork(sender=sender, seq=seq):
            text = f"two blobs claim the place {seq} of a device: somebody shows two histories"
            return Happened(what="fork", text=text, sender=show_id(sender))
        case events.UndecryptableBlobs(sender=sender, count=count):
            return Happened(what="undecryptable", text=f"{count} blobs did not open", sender=show_id(sender))
        case events.RelayKeyChanged(relay_key=relay_key):
            text = f"the relay shows another key than before: {show_id(relay_key)}; ask its operator whether it is his"
            return Happened(what="relay-key", text=text)
        case events.JoinRequested(device_id=device_id, device_name=name, sas=sas):
            text = f"{name!r} asks to join with the number {sas}: `ferryman invite` or the host answers"
            return Happened(what="join-asked", text=text, sender=show_id(device_id), sas=sas)
        case events.JoinWaiting():
            return Happened(what="join-waiting", text="waiting for the inviting device to answer")
        case events.JoinShown(sas=sas):
            text = f"the number is {sas}: whoever invites this device must see the same, and approve it"
            return Happened(what="join-shown", text=text, sas=sas)
        case events.JoinEnded(reason=reason):
            return Happened(what="join-ended", text=reason)
        case events.DeviceJoined(device_id=device_id, device_name=name):
            return Happened(what="joined", text=f"{name!r} is in the group now", sender=show_id(device_id))
        case events.Lagged(count=count):
            return Happened(what="missed", text=f"{count} events came too fast and are left out")
        case events.Connected() | events.Disconnected() | events.SyncStatus() | events.TransactionSaved():
            return None


def describe_status(status: events.ConnectionStatus) -> Happened:
    connection = connection_of(status)
    match status:
        case events.Disconnected(reason=reason) if reason:
            text = f"disconnected: {reason}"
        case events.Reconnecting(attempt=attempt, reason=reason):
            text = f"{reason or 'the relay is not reachable'}; attempt {attempt} follows"
        case _:
            text = connection
    return Happened(what="status", text=text, connection=connection)
