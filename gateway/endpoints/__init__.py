"""One WebSocket URL family per file: who may connect, and what is checked before a socket is accepted."""
