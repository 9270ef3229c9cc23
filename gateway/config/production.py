"""What production refuses: secrets that can be guessed, and connections or proxies that anyone could use."""

import re
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address
from typing import Final
from urllib.parse import parse_qs, unquote

from gateway.config.redis_url import split

MIN_PASSWORD_LENGTH: Final = 8
MIN_SERVICE_KEY_LENGTH: Final = 20
MIN_SECRET_KEY_LENGTH: Final = 32  # RFC 7518 §3.2: as many bytes as HS256's hash
MIN_KEYS_SECRET_LENGTH: Final = 32  # a key of AES-256
_MIN_DISTINCT: Final = 5
"""Different characters of a secret; "aaaa…" and "12121212…" have fewer."""
_WIDEST: Final = {4: 8, 6: 20}
"""The shortest prefix of a trusted network; the widest networks of public proxies are a /12 and a /29."""
_LOCAL_IPV6: Final = IPv6Network("fc00::/7")  # RFC 4193
_WELL_KNOWN: Final = frozenset(
    """
    admin administrator app chat default dev development foobared guest letmein onlyfordevelopment passw0rd password
    postgres rabbitmq redis root secret supersecret test toor topsecret
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""Letters and digits only: what deploy/compose.env, k8s/overlays/development and common images use."""
_PLACEHOLDER: Final = re.compile(
    r"change(me|it|this)|replace(me|this|with)|placeholder|insertyour|example|your[a-z]{0,12}(secret|key|password|token)"
    r"|(secret|key|password|token)here|todo|xxxx|123456|qwerty|password[0-9]{0,4}$|opensslrand|generate"
)
"""In lower case, letters and digits only: what templates put where a secret belongs."""


def weakness(secret: str, min_length: int) -> str:
    """Why a secret could be guessed, as the end of a sentence that names its setting; empty if it could not."""
    plain = re.sub("[^a-z0-9]", "", secret[:200].casefold())
    if not secret:
        return "is empty"
    if plain in _WELL_KNOWN or _PLACEHOLDER.search(plain):
        return "is a placeholder, or one that everybody knows"
    if len(secret) < min_length:
        return f"has fewer than {min_length} characters"
    if len(set(secret)) < _MIN_DISTINCT:
        return f"has fewer than {_MIN_DISTINCT} different characters"
    return ""


def unsafe_redis(redis_url: str) -> Iterator[str]:
    """The problems of the URLs of REDIS_URL; a Redis on this machine needs no password."""
    for url in split(redis_url):
        scheme, _, rest = url.partition("://")
        if scheme == "unix":
            continue
        # Without urlsplit, which rejects a list with an IPv6 address.
        where, _, query = rest.partition("?")
        user, _, places = where.partition("/")[0].rpartition("@")
        hosts = [_host(place) for place in places.split(",")]
        password = unquote(user.partition(":")[2]) or parse_qs(query).get("password", [""])[0]
        if not password and not all(map(is_loopback, hosts)):
            yield "REDIS_URL has no password, and its Redis is not on this machine"
        elif password and (problem := weakness(password, MIN_PASSWORD_LENGTH)):
            yield f"The password in REDIS_URL {problem}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or its address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def covers_internet(networks: Collection[IPv4Network | IPv6Network]) -> bool:
    """Whether the networks, taken together, contain one that is wider than any proxy's."""
    return any(
        network.prefixlen < _WIDEST[network.version] and not (network.version == 6 and network.subnet_of(_LOCAL_IPV6))
        for network in _collapsed(networks)
    )


def _collapsed(networks: Iterable[IPv4Network | IPv6Network]) -> Iterator[IPv4Network | IPv6Network]:
    networks = tuple(networks)
    yield from collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    yield from collapse_addresses(network for network in networks if isinstance(network, IPv6Network))


def _host(place: str) -> str:
    """The host of `host:port`, where an IPv6 address is in brackets."""
    return place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]
