"""What people who keep the actors alive need: trees, restarts, replay, and the processes. Imports actors and protocol."""
