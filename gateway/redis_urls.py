"""What REDIS_URL may hold: the URL of a Redis, of its Sentinels or of a cluster; or several, each of a shard."""

import re


def split(raw: str) -> tuple[str, ...]:
    """The URLs of a list: between two of them are commas, spaces or both. Their order says which shard is which."""
    return tuple(re.split(r"[\s,]+(?=[a-z][a-z+]*://)", raw.strip()))
