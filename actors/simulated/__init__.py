"""The edges of a simulated world: ports that one seed decides, under the same actors."""
