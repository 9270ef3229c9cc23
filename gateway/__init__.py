"""The WebSocket node: sessions, fan-out and the HTTP API. All its shared state is in Redis and the database."""
