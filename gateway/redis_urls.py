"""What REDIS_URL may hold: the URL of a Redis, of its Sentinels or of a cluster; or several, each of a shard."""

import re
from dataclasses import dataclass, field
from typing import Self

CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
CLUSTER_FORM = "like redis+cluster://user:password@host:port,host:port"

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:/?#@\s]+):([0-9]{1,5})")


def split(raw: str) -> tuple[str, ...]:
    """The URLs of a list: between two of them are commas, spaces or both. Their order says which shard is which."""
    return tuple(one for one in re.split(r"[\s,]+(?=[a-z][a-z+]*://)", raw.strip(" \t\r\n,")) if one)


def whereabouts(url: str) -> str:
    """Where a URL leads, for a log: without user, password and options."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class ClusterUrl:
    """`redis+cluster://[[user]:password@]host:port,host:port…[/?options]`, or `rediss+cluster://` for TLS to all.

    Any masters and replicas of the cluster, a few are enough: the others are learned from them.
    """

    hosts: tuple[str, ...]
    """`host:port` each."""
    _scheme: str
    _user: str = field(repr=False)
    _query: str = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """None if it is of another scheme.

        Raises: ValueError, with what the URL must be; never with what it is, for it may hold a password.
        """
        scheme, _, rest = url.partition("://")
        if scheme not in CLUSTER_SCHEMES:
            return None
        rest, _, query = rest.partition("?")
        user, at, rest = rest.rpartition("@")
        hosts = tuple(rest.removesuffix("/").split(","))  # there is no database but 0
        if not all(_HOST.fullmatch(host) for host in hosts):
            raise ValueError(CLUSTER_FORM)
        return cls(hosts, scheme.partition("+")[0], user + at, query)

    def node(self, host: str) -> str:
        """The URL of one of its servers, at `host:port`."""
        return f"{self._scheme}://{self._user}{host}/?{self._query}"
