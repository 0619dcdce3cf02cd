"""What a ledger record is, and the keyed chain that holds them together."""
