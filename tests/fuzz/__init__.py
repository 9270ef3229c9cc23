"""Fuzzing: generated input for whatever reads bytes of others, checked against what must hold for any input."""
