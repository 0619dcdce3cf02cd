"""Simulations of crash points: scripted worlds of the real actors, crashed everywhere, judged and replayed."""
