"""Users over HTTP: their profiles, blocks, connected clients and sessions."""
