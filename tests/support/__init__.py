"""Clients, development servers and tools that tests, benchmarks and scripts share. It has no tests."""
