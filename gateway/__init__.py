"""The WebSocket node: sessions, fan-out and the HTTP API, stateless beside Redis and the database."""
