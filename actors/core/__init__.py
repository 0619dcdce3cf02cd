"""Every actor is made of these: mailbox, cell, reference, context."""
