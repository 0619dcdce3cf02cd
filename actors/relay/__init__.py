"""The actors of one relay process."""
