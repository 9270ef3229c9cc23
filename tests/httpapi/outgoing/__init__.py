"""Calls of the operator's URLs."""
