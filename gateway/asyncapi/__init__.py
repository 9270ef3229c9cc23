"""The AsyncAPI document: every WebSocket URL family with all its messages, one family per file."""
