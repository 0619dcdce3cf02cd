"""The relay wire: envelope, messages, and the rules of a group."""
