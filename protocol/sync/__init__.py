"""The client side of the relay wire: session, outbox, invites, short codes."""
