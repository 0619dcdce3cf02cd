"""Who keeps the actors alive: trees, restarts, replay, and the processes. Imports actors and protocol."""
