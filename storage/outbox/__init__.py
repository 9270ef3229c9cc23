"""The transactional outbox: written by the commits (`notes`), read by who delivers (`queue`)."""
