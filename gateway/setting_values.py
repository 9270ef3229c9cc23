"""How a setting's text becomes a value: each parser raises Invalid with what the value must be."""

import re
from collections.abc import Callable
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from gateway import redis_urls
from gateway.redis_urls import CLUSTER_SCHEMES, ClusterUrl
from gateway.sentinel_url import SCHEMES, SentinelUrl

Network = IPv4Network | IPv6Network
E = TypeVar("E", bound=StrEnum)


class Invalid(Exception):
    """What a value must be."""


def text(raw: str) -> str:
    """As it stands."""
    return raw


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number in a range."""

    def parse(raw: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", raw) or not low <= int(raw) <= high:
            raise Invalid(f"a whole number from {low} to {high}")
        return int(raw)

    return parse


def port(raw: str) -> int:
    """A TCP port."""
    return whole(1, 65535)(raw)


def seconds(low: float, high: float) -> Callable[[str], float]:
    """A duration in a range."""

    def parse(raw: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", raw) or not low <= float(raw) <= high:
            raise Invalid(f"a number of seconds from {low:g} to {high:g}")
        return float(raw)

    return parse


def flag(raw: str) -> bool:
    """On or off."""
    if raw.lower() not in {"true", "false", "1", "0"}:
        raise Invalid("true, false, 1 or 0")
    return raw.lower() in {"true", "1"}


def choice(choices: type[E]) -> Callable[[str], E]:
    """One of a closed set, in any case."""

    def parse(raw: str) -> E:
        try:
            return choices(raw.lower())
        except ValueError:
            raise Invalid(" or ".join(choices)) from None

    return parse


def comma_list(raw: str) -> tuple[str, ...]:
    """Words, without the spaces around them."""
    return tuple(word.strip() for word in raw.split(",") if word.strip())


def networks(raw: str) -> tuple[Network, ...]:
    """IP networks; a bare address is a network of one."""
    try:
        return tuple(ip_network(word) for word in comma_list(raw))
    except ValueError:
        raise Invalid("a comma list of addresses and networks, such as 10.0.0.0/8, 192.0.2.7") from None


def origins(raw: str) -> tuple[str, ...]:
    """Origins as a browser writes them (RFC 6454 §7), or `*`."""
    origins = tuple(word.lower() for word in comma_list(raw))
    if not all(origin == "*" or re.fullmatch(r"https?://[^/?#@\s]+", origin) for origin in origins):
        raise Invalid("a comma list of origins without a path, such as https://chat.example.com")
    return origins


def url(*schemes: str, needs_host: bool = True) -> Callable[[str], str]:
    """A URL of one of these schemes."""

    def parse(raw: str) -> str:
        try:
            parts = urlsplit(raw)
            is_good = parts.scheme in schemes and (bool(parts.hostname) or not needs_host) and parts.port != 0
        except ValueError:
            is_good = False
        if not is_good:
            raise Invalid("a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes))
        return raw

    return parse


def redis(raw: str) -> str:
    """The URL of Redis, of its Sentinels or of a cluster; or several of the former two."""
    urls = redis_urls.split(raw)
    for one in urls:
        try:
            is_cluster = ClusterUrl.parse(one) is not None
            if is_cluster and len(urls) > 1:
                raise Invalid("a list of Redis or of Sentinels, or one cluster alone")
            if is_cluster or SentinelUrl.parse(one) is not None:
                continue
        except ValueError as expected:
            raise Invalid(str(expected)) from None
        url("redis", "rediss", "unix", *SCHEMES, *CLUSTER_SCHEMES, needs_host=False)(one)
    if len(set(urls)) < len(urls):
        raise Invalid("a list in which each Redis is once")
    return raw


def site(raw: str) -> str:
    """The URL of a site's root; it loses its last slash, so that paths can be added."""
    return url("http", "https")(raw).rstrip("/")


def shared_secret(raw: str) -> str:
    """A secret: whoever puts a public key here would let everybody sign."""
    if "BEGIN " in raw or raw.startswith("ssh-"):
        raise Invalid("a secret, which a public key or a certificate is not")
    return raw


def folder(raw: str) -> Path:
    """An absolute path; `~` is the user's home."""
    return Path(raw).expanduser().absolute()


def page_folder(raw: str) -> Path:
    """A folder that is there, and has a page."""
    path = folder(raw)
    if not (path / "index.html").is_file():
        raise Invalid("a folder with an index.html")
    return path
