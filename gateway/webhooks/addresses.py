"""The addresses that a webhook may be at: none of a private network, unless the operator allows it.

Invariant: the address that was checked is the one that is connected to, so that a name cannot resolve to another one
in between (DNS rebinding).
"""

import asyncio
import socket
import time
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from gateway.errors import SendFailed

RESOLVE_S: Final = 3.0
KEPT_S: Final = 30.0
"""How long a resolved address is used before the name is resolved again."""
_TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
"""NAT64 (RFC 6052, RFC 8215) and IPv4-compatible addresses: a gateway turns them into any IPv4 address."""


def is_public(address: str) -> bool:
    """Whether an IP address is on the internet: not private, loopback, link-local, multicast or reserved."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = _embedded(ip)
        if inner is not None:
            return is_public(str(inner))
        if any(ip in network for network in _TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    return ip.teredo[1] if ip.teredo is not None else None


class Target:
    """A host, resolved and checked."""

    def __init__(self, host: str, port: int, *, allows_private: bool) -> None:
        self._host = host
        self._port = port
        self._allows_private = allows_private
        self._resolved: tuple[float, str] | None = None

    async def address(self) -> str:
        """The IP address to connect to.

        Raises: SendFailed.
        """
        now = time.monotonic()
        if self._resolved is None or now - self._resolved[0] > KEPT_S:
            self._resolved = now, await self._resolve()
        return self._resolved[1]

    def forget(self) -> None:
        """Resolve the name again next time: the address does not answer."""
        self._resolved = None

    async def _resolve(self) -> str:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise SendFailed("unresolved") from error
        addresses = [str(entry[4][0]) for entry in found]
        allowed = [address for address in addresses if self._allows_private or is_public(address)]
        if not allowed:
            raise SendFailed("private address")
        return allowed[0]
