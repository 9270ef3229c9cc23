"""Parses REDIS_URL: the URL of a Redis, of its Sentinels or of a cluster; or several URLs, one per shard."""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, unquote, unquote_plus, urlsplit

SCHEMES = ("redis+sentinel", "rediss+sentinel")
PORT = 26379
FORM = "like redis+sentinel://user:password@host:port,host:port,host:port/service/db"


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """The URL of a Redis behind Sentinels, which it converts to URLs that redis-py understands."""

    hosts: tuple[str, ...]
    """The Sentinels, each as `host:port`."""
    service: str
    """The name under which the Sentinels monitor this Redis."""
    _scheme: str
    _user: str = field(repr=False)
    """`user:password@`, or an empty string."""
    _database: int
    _query: str = field(repr=False)
    _sentinel_user: str = field(repr=False)
    """`user:password@`, or an empty string."""

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """Parse the URL; None if it has another scheme.

        Raises: ValueError, with the required form; never with the URL itself, which may contain a password.
        """
        scheme, _, rest = url.partition("://")
        if scheme not in SCHEMES:
            return None
        try:
            # Without urlsplit: newer Pythons reject a list with an IPv6 address as a network location.
            where, _, query = rest.partition("#")[0].partition("?")
            netloc, _, path = where.partition("/")
            user, at, hosts = netloc.rpartition("@")
            service, _, database = path.partition("/")
            if not service or not re.fullmatch("[0-9]{0,9}", database):
                raise ValueError
            own, options = _own_options(query)
            password = own.get("sentinel_password", unquote(user.partition(":")[2]))
            name = own.get("sentinel_username", "") or "default"
            return cls(
                tuple(map(_with_port, hosts.split(","))),
                unquote(service),
                scheme.partition("+")[0],
                user + at,
                int(database or 0),
                options,
                f"{quote(name, safe='')}:{quote(password, safe='')}@" if password else "",
            )
        except ValueError:
            raise ValueError(FORM) from None

    @property
    def sentinels(self) -> list[str]:
        """The URLs of the Sentinels, with their own password or that of Redis; a Sentinel without one accepts any."""
        return [f"{self._scheme}://{self._sentinel_user}{host}/?{self._query}" for host in self.hosts]

    def redis(self, host: str, port: int) -> str:
        """The URL of the Redis at this address, which a Sentinel has reported."""
        url_host = f"[{host}]" if ":" in host else host
        return f"{self._scheme}://{self._user}{url_host}:{port}/{self._database}?{self._query}"


def _own_options(query: str) -> tuple[dict[str, str], str]:
    """The options for Sentinels only, decoded, and the other options unchanged."""
    own: dict[str, str] = {}
    others: list[str] = []
    for option in query.split("&"):
        name, _, value = option.partition("=")
        if name in {"sentinel_username", "sentinel_password"}:
            own[name] = unquote_plus(value)
        else:
            others.append(option)
    return own, "&".join(others)


def _with_port(host: str) -> str:
    """Raises: ValueError."""
    host = host.removesuffix(":")  # an empty port (RFC 3986 §3.2.3)
    parts = urlsplit(f"//{host}")
    if not parts.hostname or parts.port == 0 or parts.netloc != host or host.endswith(":"):
        raise ValueError
    return host if parts.port else f"{host}:{PORT}"


CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
CLUSTER_FORM = "like redis+cluster://user:password@host:port,host:port"

PLAIN_FORM = "like redis://user:password@host:port/0, with a whole number for the database"

_NAME = r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+"
_PLAIN = re.compile(
    rf"rediss?://(?:[^/?#@]*@)?(?:{_NAME})?(?::[0-9]{{1,5}})?(?:/[0-9]{{0,9}})?(?:\?.*)?", re.IGNORECASE
)
_UNIX = re.compile(r"unix://(?:[^/?#@]*@)?/[^?#@]+(?:\?.*)?")
_HOST = re.compile(rf"({_NAME}):([0-9]{{1,5}})")


def split(raw: str) -> tuple[str, ...]:
    """The URLs of a list, separated by commas, spaces or both. A URL's position is the number of its shard."""
    return tuple(one for one in re.split(r"[\s,]+(?=[a-z][a-z+]*://)", raw.strip(" \t\r\n,")) if one)


def check_plain(url: str) -> None:
    """Raises: ValueError, with what the URL of one Redis must be."""
    try:
        is_plain = _PLAIN.fullmatch(url) is not None and urlsplit(url).port != 0
    except ValueError:  # a port above 65535
        is_plain = False
    if not (is_plain or _UNIX.fullmatch(url)):
        raise ValueError(PLAIN_FORM)


def whereabouts(url: str) -> str:
    """The address in a URL without user, password and options, for logs."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class ClusterUrl:
    """`redis+cluster://[[user]:password@]host:port,host:port…[/?options]`, or `rediss+cluster://` for TLS to all nodes.

    A few masters or replicas of the cluster are enough; the other nodes are discovered through them.
    """

    hosts: tuple[str, ...]
    """Servers of the cluster, each as `host:port`."""
    _scheme: str
    _user: str = field(repr=False)
    _query: str = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """Parse the URL; None if it has another scheme.

        Raises: ValueError, with the required form; never with the URL itself, which may contain a password.
        """
        scheme, _, rest = url.partition("://")
        if scheme not in CLUSTER_SCHEMES:
            return None
        rest, _, query = rest.partition("?")
        user, at, rest = rest.rpartition("@")
        hosts = tuple(rest.removesuffix("/").split(","))  # a cluster has only database 0
        if not all(_HOST.fullmatch(host) for host in hosts):
            raise ValueError(CLUSTER_FORM)
        return cls(hosts, scheme.partition("+")[0], user + at, query)

    def node(self, host: str) -> str:
        """The URL of the server of this cluster at `host:port`."""
        return f"{self._scheme}://{self._user}{host}/?{self._query}"
