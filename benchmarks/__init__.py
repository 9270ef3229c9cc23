"""What the gateway costs, measured beside its peers and the limit; see README.md."""
