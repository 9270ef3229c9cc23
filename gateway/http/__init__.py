"""The parts of HTTP responses and of rejected handshakes: problems and parameters."""
