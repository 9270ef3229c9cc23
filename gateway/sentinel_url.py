"""A URL that names Sentinels, who know where Redis is at the moment:

`redis+sentinel://[[user]:password@]host[:port],host[:port],…/service[/db]`; with `rediss`, TLS to all of them.
What follows a `?` are redis-py's options, as in a URL of Redis itself.
"""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

SCHEMES = ("redis+sentinel", "rediss+sentinel")
PORT = 26379
FORM = "like redis+sentinel://user:password@host:port,host:port,host:port/service/db"


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """Its parts, and the URLs that redis-py understands."""

    hosts: tuple[str, ...]
    """`host:port` each."""
    service: str
    """The name under which the Sentinels watch this Redis."""
    _scheme: str
    _user: str = field(repr=False)
    """`user:password@`, or nothing."""
    _password: str = field(repr=False)
    _database: int
    _query: str = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """None if it is of another scheme.

        Raises: ValueError, with what the URL must be; never with what it is, for it may hold a password.
        """
        scheme, _, rest = url.partition("://")
        if scheme not in SCHEMES:
            return None
        try:
            # By hand: to newer Pythons a list with an IPv6 address in it is no network location.
            where, _, query = rest.partition("#")[0].partition("?")
            netloc, _, path = where.partition("/")
            user, at, hosts = netloc.rpartition("@")
            service, _, database = path.partition("/")
            if not service:
                raise ValueError
            return cls(
                tuple(map(_with_port, hosts.split(","))),
                unquote(service),
                scheme.partition("+")[0],
                user + at,
                user.partition(":")[2],
                int(database or 0),
                query,
            )
        except ValueError:
            raise ValueError(FORM) from None

    @property
    def sentinels(self) -> list[str]:
        """Their URLs. One that wants a password gets that of Redis; one that wants none takes any."""
        user = f"default:{self._password}@" if self._password else ""
        return [f"{self._scheme}://{user}{host}/?{self._query}" for host in self.hosts]

    def redis(self, host: str, port: int) -> str:
        """The URL of the Redis that was found there."""
        named = f"[{host}]" if ":" in host else host
        return f"{self._scheme}://{self._user}{named}:{port}/{self._database}?{self._query}"


def _with_port(host: str) -> str:
    """Raises: ValueError."""
    parts = urlsplit(f"//{host}")
    if not parts.hostname or parts.port == 0 or parts.netloc != host:
        raise ValueError
    return host if parts.port else f"{host}:{PORT}"
