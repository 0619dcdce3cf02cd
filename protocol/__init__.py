"""What is said and decided: pure values and functions; no I/O, clock, chance, logging, no Trio."""
