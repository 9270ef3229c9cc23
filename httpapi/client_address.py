"""The address of a request's client; forwarding headers are used only if a trusted proxy sent them."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.requests import HTTPConnection

Network = IPv4Network | IPv6Network
UNKNOWN: Final = "unknown"
_IPV6_PREFIXES: Final = (64, 56, 48)
MAX_KNOWN: Final = 1024
"""Addresses that are not parsed again, each a few hundred bytes."""
MAX_TEXT: Final = 64
"""The longest text of an IPv6 address with its interface has 61 characters."""


def client_address(connection: HTTPConnection, trusted: Iterable[Network]) -> str:
    """The address of the client: the last hop that is not a trusted proxy, or "unknown".

    X-Forwarded-For is read from its end, where our own proxies wrote: what a client put before that is never believed.
    """
    trusted = tuple(trusted)
    address = _peer(connection)
    hops = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
    while address is not None and hops and _is_in(address, trusted):
        hop = _parse(hops.pop())
        if hop is None:
            break
        address = hop
    return UNKNOWN if address is None else str(address)


def is_trusted_peer(connection: HTTPConnection, trusted: Iterable[Network]) -> bool:
    """Whether the connection comes from a trusted proxy, whose headers are then used."""
    address = _peer(connection)
    return address is not None and _is_in(address, trusted)


@lru_cache(MAX_KNOWN)
def networks_of(address: str) -> tuple[str, ...]:
    """The networks that one client may have to itself, narrowest first.

    An IPv4 client has an address. An IPv6 client has at least a /64; many providers assign a /56 or a /48 (RFC 6177).
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return (UNKNOWN,)
    if ip.version == 4:
        return (str(ip),)
    return tuple(str(ip_network((ip, prefix), strict=False)) for prefix in _IPV6_PREFIXES)


def _peer(connection: HTTPConnection) -> IPv4Address | IPv6Address | None:
    return _parse(connection.client.host) if connection.client else None


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    return _parsed(text) if len(text) <= MAX_TEXT else None


@lru_cache(MAX_KNOWN)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _is_in(address: IPv4Address | IPv6Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
