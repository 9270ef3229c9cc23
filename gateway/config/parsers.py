"""The parsers of settings. Each raises InvalidSetting, whose text says what the value must be."""

import re
from collections.abc import Callable
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from gateway.config import redis_url as redis_urls
from gateway.config.redis_options import check_options
from gateway.config.redis_url import ClusterUrl, SentinelUrl
from gateway.errors import InvalidSetting
from httpapi.errors import InvalidServiceKey
from httpapi.operation import Scope
from httpapi.service_keys import parse_keys
from storage.database import database_url

IPNetwork = IPv4Network | IPv6Network
E = TypeVar("E", bound=StrEnum)


def text(raw: str) -> str:
    """Any text, unchanged."""
    return raw


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers in a range."""

    def parse(raw: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", raw) or not low <= int(raw) <= high:
            raise InvalidSetting(f"a whole number from {low} to {high}")
        return int(raw)

    return parse


def port(raw: str) -> int:
    """A TCP port."""
    return whole(1, 65535)(raw)


def seconds(low: float, high: float) -> Callable[[str], float]:
    """A parser of durations in seconds in a range."""

    def parse(raw: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", raw) or not low <= float(raw) <= high:
            raise InvalidSetting(f"a number of seconds from {low:g} to {high:g}")
        return float(raw)

    return parse


def flag(raw: str) -> bool:
    """A boolean."""
    if raw.lower() not in {"true", "false", "1", "0"}:
        raise InvalidSetting("true, false, 1 or 0")
    return raw.lower() in {"true", "1"}


def choice(choices: type[E]) -> Callable[[str], E]:
    """A parser of the values of an enum, in any letter case."""

    def parse(raw: str) -> E:
        try:
            return choices(raw.lower())
        except ValueError:
            raise InvalidSetting(" or ".join(choices)) from None

    return parse


def comma_list(raw: str) -> tuple[str, ...]:
    """The items of a comma-separated list, stripped; empty items are skipped."""
    return tuple(word.strip() for word in raw.split(",") if word.strip())


def service_keys(raw: str) -> tuple[str, ...]:
    """The entries of SERVICE_KEYS, each of them valid."""
    texts = comma_list(raw)
    try:
        parse_keys(texts)
    except InvalidServiceKey:
        raise InvalidSetting(
            "a comma list of different keys, each `key` or `name:key[:scope+scope]`, with scopes from "
            + ", ".join(Scope)
        ) from None
    return texts


def networks(raw: str) -> tuple[IPNetwork, ...]:
    """IP networks; a bare address is a network with one address."""
    try:
        return tuple(ip_network(word) for word in comma_list(raw))
    except ValueError:
        raise InvalidSetting("a comma list of addresses and networks, such as 10.0.0.0/8, 192.0.2.7") from None


def origins(raw: str) -> tuple[str, ...]:
    """Origins in the form that browsers send (RFC 6454 §7), or `*`."""
    origins = tuple(word.lower() for word in comma_list(raw))
    if not all(origin == "*" or re.fullmatch(r"https?://[^/?#@\s]+", origin) for origin in origins):
        raise InvalidSetting("a comma list of origins without a path, such as https://chat.example.com")
    return origins


def image_sources(raw: str) -> tuple[str, ...]:
    """Sources of images that a Content-Security-Policy and an attribute of HTML can hold as they are."""
    sources = tuple(word.lower() for word in comma_list(raw))
    if not all(re.fullmatch(r"https:(//[a-z0-9.-]+(:[0-9]{1,5})?)?", source) for source in sources):
        raise InvalidSetting("`https:`, or a comma list of origins such as https://images.example.com")
    return sources


_HOST = r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]"
_URL = re.compile(
    r"(?P<scheme>[A-Za-z]{1,10})://"
    r"(?:(?P<user>(?:[^/?#@\[\]\\\s%]|%[0-9A-Fa-f]{2})*)@)?"
    rf"(?P<host>{_HOST})"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?](?:[!\"$&-~]|%[0-9A-Fa-f]{2})*)?"
)
"""RFC 3986 without fragments, which mean nothing to a server; hosts of other scripts are in punycode."""


def _url(raw: str, schemes: tuple[str, ...]) -> re.Match[str]:
    """Raises: InvalidSetting."""
    match = _URL.fullmatch(raw)
    starts = " or ".join(f"{scheme}://" for scheme in schemes)
    if match is None or match["scheme"].lower() not in schemes or not 0 < int(match["port"] or 1) < 65536:
        raise InvalidSetting(
            f"a URL that starts with {starts}, with a host in ASCII, the reserved characters of user, password and path"
            " percent-encoded (@ is %40, / is %2F), and without a fragment"
        )
    try:
        unquote(raw, errors="strict")
        urlsplit(raw)
    except UnicodeDecodeError:
        raise InvalidSetting("a URL whose percent-encoded parts are UTF-8") from None
    except ValueError:  # what would be a reserved character after NFKC
        raise InvalidSetting("a URL in ASCII") from None
    return match


def url(*schemes: str) -> Callable[[str], str]:
    """A URL of one of these schemes, which comes back in lower case."""

    def parse(raw: str) -> str:
        scheme = _url(raw, schemes)["scheme"]
        return scheme.lower() + raw[len(scheme) :]

    return parse


def web_socket(raw: str) -> str:
    """The URL of a WebSocket; HTTP's basic authentication has no user without a password."""
    parsed = url("ws", "wss")(raw)
    user = _url(raw, ("ws", "wss"))["user"]
    if user is not None and ":" not in user:
        raise InvalidSetting("a URL with both user and password, or neither")
    return parsed


def database(raw: str) -> str:
    """The URL of a database."""
    try:
        database_url.parse(raw)
    except ValueError as expected:
        raise InvalidSetting(str(expected)) from None
    return raw


def database_host(raw: str) -> str:
    """A host in the form that a URL needs, or several, separated by commas."""
    part = ",".join(map(database_url.host_part, raw.split(",")))
    try:
        database_url.parse(f"postgres://{part}/")
    except ValueError:
        part = ""
    if not part or re.search(r"[\s@?#]", part):
        raise InvalidSetting("a host name, an address or the folder of a Unix socket; the port is POSTGRES_PORT")
    return part


def redis(raw: str) -> str:
    """The URL of a Redis, of its Sentinels or of a cluster; or several of the first two kinds."""
    urls = redis_urls.split(raw)
    for one in urls:
        try:
            is_cluster = ClusterUrl.parse(one) is not None
            if is_cluster and len(urls) > 1:
                raise InvalidSetting("a list of Redis or of Sentinels, or one cluster alone")
            if not is_cluster and SentinelUrl.parse(one) is None:
                redis_urls.check_plain(one)
            check_options(one)
        except ValueError as expected:
            raise InvalidSetting(str(expected)) from None
    if len(set(urls)) < len(urls):
        raise InvalidSetting("a list in which each Redis is once")
    return raw


def redis_prefix(raw: str) -> str:
    """The prefix of keys and channels, without braces, which would put all keys into one slot of a cluster."""
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", raw):
        raise InvalidSetting("1 to 64 letters, digits and . _ - :")
    return raw


def queue_name(raw: str) -> str:
    """A name of a queue in RabbitMQ, which reserves names that begin with `amq.`."""
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", raw) or raw.startswith("amq."):
        raise InvalidSetting("1 to 100 letters, digits and . _ - :, not amq.…")
    return raw


def site(raw: str) -> str:
    """The URL of a site's root; it loses its last slash, so that paths can be added. Its path is a cookie's too."""
    schemes = ("http", "https")
    match = _url(raw, schemes)
    if match["user"] is not None or re.search(r"[?;\"<>\\^`{|}]", match["rest"] or ""):
        raise InvalidSetting("a URL with a host and a path alone")
    return url(*schemes)(raw).rstrip("/")


def shared_secret(raw: str) -> str:
    """A shared secret. A public key is rejected: as a shared secret it would allow everyone to sign tokens."""
    if "BEGIN " in raw or raw.startswith("ssh-"):
        raise InvalidSetting("a secret, which a public key or a certificate is not")
    return raw


def keys_secrets(raw: str) -> tuple[str, ...]:
    """The secret that encrypts private keys; or, while it is being replaced, the new and the old one."""
    found = comma_list(raw)
    if not 1 <= len(set(found)) == len(found) <= 2 or any(len(secret) < 32 for secret in found):
        raise InvalidSetting("a secret of at least 32 characters, or two by comma, the new one first")
    return found


def path(raw: str) -> Path:
    """An absolute path; `~` is the user's home."""
    return Path(raw).expanduser().absolute()


def page_folder(raw: str) -> Path:
    """An existing folder with an `index.html`."""
    page = path(raw)
    if not (page / "index.html").is_file():
        raise InvalidSetting("a folder with an index.html")
    return page
