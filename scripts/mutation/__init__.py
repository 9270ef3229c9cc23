"""Mutation tests: change one expression at a time, and see whether a unit test fails."""
