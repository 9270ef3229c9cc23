"""The rooms that live in Redis: broker, presence and rate limits, over one command link and one pub/sub connection."""
