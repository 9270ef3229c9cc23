"""The AsyncAPI document: every WebSocket URL family, and every message of each, a family a file."""
