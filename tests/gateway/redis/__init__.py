"""Redis adapters on real servers."""
