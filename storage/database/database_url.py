"""Parses DATABASE_URL: a PostgreSQL URL as libpq reads it, or `sqlite://` and the verbatim path of a file.

libpq's form and parameters: https://www.postgresql.org/docs/current/libpq-connect.html
"""

import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import unquote

DEFAULT_PORT = 5432
FORM = "a URL that starts with postgres://, postgresql:// or sqlite:///"
RESERVED = "a URL whose user, password and database have their reserved characters percent-encoded (@ is %40, / is %2F)"

_HOSTS = f"{RESERVED}, and whose hosts are like db.example:5432 or [::1]:5432"

_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "primary", "standby", "prefer-standby", "read-write", "read-only"),
    "channel_binding": ("disable", "prefer", "require"),
    "keepalives": ("0", "1"),
}
_KEEPALIVES = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
}
_HIGHEST = {"connect_timeout": 9999, "keepalives_idle": 32767, "keepalives_interval": 32767, "keepalives_count": 127}
_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_PLACE = ("host", "port", "user", "password", "dbname")
PARAMETERS = (
    *_TLS,
    "connect_timeout",
    "application_name",
    "options",
    "target_session_attrs",
    "channel_binding",
    "keepalives",
    *_KEEPALIVES,
    *_PLACE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresUrl:
    """Decoded parts; what is None or empty is left to the driver (`PGUSER`, `~/.pgpass` and so on)."""

    hosts: tuple[tuple[str, int], ...]
    """Names, addresses or folders of Unix sockets ("": the driver's default), with their ports, to try in order."""
    user: str | None
    password: str | None = field(repr=False)
    database: str | None
    tls: Mapping[str, str]
    """sslmode, sslrootcert, sslcert and sslkey: as given, or as `channel_binding=require` needs them."""
    server_settings: Mapping[str, str]
    """application_name and options, as given."""
    target_session_attrs: str
    connect_timeout_s: float | None
    """The time limit for one host."""
    socket_options: tuple[tuple[int, int, int], ...]
    """Arguments of `socket.setsockopt`."""

    def __str__(self) -> str:
        """The hosts and the database, without the user, the password and the parameters."""
        return f"postgres://{','.join(_shown(*host) for host in self.hosts)}/{self.database or ''}"


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """The path of a file: all characters after `sqlite://`."""

    path: str

    def __str__(self) -> str:
        return self.path


def parse(url: str) -> PostgresUrl | SqliteUrl:
    """Read a database URL.

    Raises: ValueError, whose text says what the URL must be; it never quotes the URL, which may hold a password.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in ("postgres", "postgresql", "sqlite"):
        raise ValueError(FORM)
    if "\0" in url:
        raise ValueError("a URL without NUL")
    if scheme.lower() != "sqlite":
        return _postgres(rest)
    if not rest.strip("/"):
        raise ValueError("a URL with the path of a file, if it starts with sqlite://")
    return SqliteUrl(rest)


def host_part(host: str) -> str:
    """A host as a part of a URL: an IPv6 address in brackets, a socket's folder percent-encoded."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare and not bare.startswith("/"):
        return f"[{bare.replace('%', '%25')}]"  # a zone id follows a %
    return bare.replace("%", "%25").replace("/", "%2F").replace(":", "%3A")


def _postgres(rest: str) -> PostgresUrl:
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    userinfo, _, hostlist = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    if "@" in path:
        raise ValueError(RESERVED)
    given = _parameters(query)
    hosts = tuple(_hosts(hostlist, given))
    tls = {name: given[name] for name in _TLS if name in given}
    if given.get("channel_binding") == "require":
        _require_verified_server(tls, hosts)
    _check_tls(tls)
    timeout_s = int(given.get("connect_timeout", "0"))
    return PostgresUrl(
        hosts=hosts,
        user=given.get("user") or _decoded(user) or None,
        password=given.get("password") or _decoded(password) or None,
        database=given.get("dbname") or _decoded(path) or None,
        tls=tls,
        server_settings={name: given[name] for name in ("application_name", "options") if name in given},
        target_session_attrs=given.get("target_session_attrs", "any"),
        connect_timeout_s=timeout_s or None,
        socket_options=tuple(_socket_options(given)),
    )


def _parameters(query: str) -> dict[str, str]:
    """The parameters, the last of each name; an empty value means libpq's default."""
    given: dict[str, str] = {}
    for word in query.split("&") if query else []:
        name, equals, value = word.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]{1,40}", name):
            raise ValueError(f"{RESERVED}, and whose parameters are name=value")
        if name not in PARAMETERS:
            raise ValueError(f"a URL without the parameter {name}: the ones that work are {', '.join(PARAMETERS)}")
        given[name] = _decoded(value)
    given = {name: value for name, value in given.items() if value}
    for name, choices in _CHOICES.items():
        if given.get(name, choices[0]) not in choices:
            raise ValueError(f"a URL whose {name} is {', '.join(choices[:-1])} or {choices[-1]}")
    for name, highest in _HIGHEST.items():
        if not re.fullmatch(r"[0-9]{1,5}", given.get(name, "0")) or int(given.get(name, "0")) > highest:
            raise ValueError(f"a URL whose {name} is a whole number from 0 to {highest}")
    return given


def _decoded(part: str) -> str:
    try:
        text = unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("a URL whose percent-encoded parts are UTF-8") from None
    if "\0" in text:
        raise ValueError("a URL without %00")
    return text


_HOST = re.compile(r"(?:\[(?P<address>[^\[\]]+)\]|(?P<name>[^\[\]:]*))(?::(?P<port>[0-9]{0,5}))?")


def _hosts(hostlist: str, given: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """The hosts. `host=` and `port=` take precedence, as in libpq; a single port applies to every host."""
    matches = [_HOST.fullmatch(part) for part in hostlist.split(",")] if hostlist else []
    if not all(matches):
        raise ValueError(_HOSTS)
    hosts = [_decoded(match["address"] or match["name"]) for match in matches if match]
    ports = [match["port"] or "" for match in matches if match]
    if "host" in given:
        hosts = [host.removeprefix("[").removesuffix("]") for host in given["host"].split(",")]
    if "port" in given:
        ports = given["port"].split(",")
    hosts = hosts or [""] * len(ports)
    ports = (ports or [""]) * len(hosts) if len(ports) <= 1 else ports
    if len(hosts) != len(ports):
        raise ValueError("a URL with one port, or one for each host")
    for host, port in zip(hosts, ports, strict=True):
        yield _checked(host), _port(port)


def _checked(host: str) -> str:
    """Raises: ValueError for what has a colon and is neither an IPv6 address nor a folder."""
    try:
        if ":" in host and not host.startswith("/"):
            IPv6Address(host)
    except ValueError:
        raise ValueError(_HOSTS) from None
    return host


def _port(text: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError("a URL whose port is a whole number from 1 to 65535")
    return int(text)


def _require_verified_server(tls: dict[str, str], hosts: Sequence[tuple[str, int]]) -> None:
    """Do what `channel_binding=require` is for: no machine between us and the server can relay our login.

    asyncpg has no SCRAM-SHA-256-PLUS, which binds a login to its TLS connection. A verified certificate and host name
    give the same protection, so this sets `sslmode=verify-full`, and the system's roots where none are named.
    Raises: ValueError for what has no TLS.
    """
    if tls.get("sslmode") == "disable":
        raise ValueError("a URL with another sslmode than disable, if it has channel_binding=require")
    if not hosts or any(not host or host.startswith("/") for host, _ in hosts):
        raise ValueError(
            "a URL whose hosts are names or addresses, if it has channel_binding=require: sockets have no TLS"
        )
    tls["sslmode"] = "verify-full"
    if not _has_default_root():
        tls.setdefault("sslrootcert", "system")


def _check_tls(tls: dict[str, str]) -> None:
    """Raises: ValueError for files that cannot be used, so that this is known before the first connection is tried."""
    if tls.get("sslrootcert") == "system":
        if tls.setdefault("sslmode", "verify-full") != "verify-full":
            raise ValueError("a URL with sslmode=verify-full, if sslrootcert is system")
    elif "sslrootcert" in tls:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=tls["sslrootcert"])
        except OSError as error:
            raise ValueError(f"a URL whose sslrootcert is a readable file of certificates ({_reason(error)})") from None
    elif tls.get("sslmode", "").startswith("verify-") and not _has_default_root():
        raise ValueError("a URL with sslrootcert, if sslmode is verify-ca or verify-full; sslrootcert=system will do")
    if "sslcert" in tls:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(tls["sslcert"], tls.get("sslkey"), lambda: "")
        except OSError as error:
            raise ValueError(
                f"a URL whose sslcert and sslkey are a certificate and its key ({_reason(error)})"
            ) from None


def _has_default_root() -> bool:
    """Whether asyncpg finds a file of root certificates by itself; PGSSLROOTCERT=system means nothing to it."""
    if named := os.environ.get("PGSSLROOTCERT"):
        return named != "system"
    try:
        return (Path.home() / ".postgresql" / "root.crt").is_file()
    except (RuntimeError, OSError):
        return False


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _socket_options(given: Mapping[str, str]) -> Iterator[tuple[int, int, int]]:
    """The options that libpq sets: keepalives are on by default; 0 means the system's value."""
    is_on = given.get("keepalives") != "0"
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(is_on)
    for name, option in _KEEPALIVES.items() if is_on else ():
        if (value := int(given.get(name, "0"))) and hasattr(socket, option):  # macOS lacks some
            yield socket.IPPROTO_TCP, getattr(socket, option), value


def _shown(host: str, port: int) -> str:
    return host if host.startswith("/") else f"{host_part(host)}:{port}"
