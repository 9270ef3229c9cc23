"""The adapters on Redis: broker, presence, limits and more, over one command connection and one pub/sub connection."""
