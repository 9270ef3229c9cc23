"""Seed 004's client in Node, driven from Python."""
