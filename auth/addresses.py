"""Where a request really comes from; only a trusted proxy's word for it is taken."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.requests import HTTPConnection

Network = IPv4Network | IPv6Network
UNKNOWN: Final = "unknown"


def client_address(connection: HTTPConnection, trusted: Iterable[Network]) -> str:
    """The address of the client: the last hop that no trusted proxy is, or "unknown".

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


def is_https(connection: HTTPConnection, trusted: Iterable[Network]) -> bool:
    """Whether the client speaks TLS, to us or to a trusted proxy that says so in X-Forwarded-Proto."""
    if connection.scope["scheme"] == "https":
        return True
    peer = _peer(connection)
    if peer is None or not _is_in(peer, trusted):
        return False
    return connection.headers.get("x-forwarded-proto", "").split(",")[-1].strip().lower() == "https"


def _peer(connection: HTTPConnection) -> IPv4Address | IPv6Address | None:
    return _parse(connection.client.host) if connection.client else None


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _is_in(address: IPv4Address | IPv6Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
