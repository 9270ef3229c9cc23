"""The names that one system uses in Redis, so that several systems can share a server.

Database numbers do not separate systems, because pub/sub ignores them. So every key and channel begins with a prefix
derived from the store. Every publication begins with the store's id, in case two systems have the same REDIS_PREFIX by
mistake.
"""

from typing import Final

DEFAULT_PREFIX: Final = "cg:"
"""Followed by the store's id. A prefix has no braces, which in a cluster would put all keys into one slot."""


class Namespace:
    """Names of keys and channels. Each publication of this store begins with `mark`."""

    __slots__ = ("_node", "all_nodes", "chat", "mark", "prefix", "probe", "store_id")

    def __init__(self, store_id: str, prefix: str = "") -> None:
        """`prefix` is the value of REDIS_PREFIX, or empty."""
        self.store_id = store_id
        self.prefix = f"{prefix or DEFAULT_PREFIX + store_id}:"
        self.mark = f"{store_id}:".encode()
        own = self.prefix.encode()
        self.all_nodes = own + b"nodes"
        self.chat = own + b"chat:"
        """The prefix of every chat's channel."""
        self.probe = own + b"probe:"
        self._node = own + b"node:"

    def chat_channel(self, chat_id: int) -> bytes:
        """The channel to which every node with a client in the chat subscribes."""
        return b"%s%d" % (self.chat, chat_id)

    def node_channel(self, node_id: str) -> bytes:
        """The channel to which one node subscribes."""
        return self._node + node_id.encode()
