"""Which of several Redis a thing belongs to: by its number or name and their count alone, so that all nodes agree.

A jump hash (Lamping, Veach 2014): one more Redis at the end of the list takes 1/n of the things, and moves no others.
"""

import hashlib

_FACTOR = 2862933555777941757
_MASK = (1 << 64) - 1


def shard_of(number: int, count: int) -> int:
    """The shard, 0 … count - 1, of a chat or a user; `number` may be any integer."""
    shard, next_shard = 0, 0
    while next_shard < count:
        shard = next_shard
        number = (number * _FACTOR + 1) & _MASK
        next_shard = int((shard + 1) * ((1 << 31) / ((number >> 33) + 1)))
    return shard


def number_of(name: str) -> int:
    """A number that stands for a name, on every node the same."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())
