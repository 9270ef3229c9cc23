"""What the auth service can be told; the CLI reads the environment."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from auth.tokens import TokenNames


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Plain values. `trusted_proxies` are the networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    token_lifetime_s: int = 30 * 60
    token_names: TokenNames = field(default_factory=TokenNames)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
