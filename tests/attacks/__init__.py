"""Attacks on two nodes behind nginx, in production mode: what each gets, and what it costs the others."""
