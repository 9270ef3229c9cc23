"""The targets: what reads bytes of others, how its input is generated, and what must hold for any input."""
