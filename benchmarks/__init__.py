"""Benchmarks: the costs of the gateway, compared with its peers and a lower limit; see README.md."""
