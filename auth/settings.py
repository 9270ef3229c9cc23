"""What the auth service can be told; the CLI reads the environment."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from auth.tokens import GUEST_LIFETIME_S, TokenNames


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Plain values. `trusted_proxies` are the networks whose X-Forwarded-For and X-Forwarded-Proto are believed.

    Unless `allow_guests`, guest tokens are for callers with one of the `service_keys`.
    """

    token_lifetime_s: int = 30 * 60
    token_names: TokenNames = field(default_factory=TokenNames)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    allow_guests: bool = False
    service_keys: tuple[str, ...] = field(default=(), repr=False)

    @property
    def longest_token_s(self) -> int:
        """How long the longest-lived token of ours lives: a retired key stays public for it."""
        return max(self.token_lifetime_s, GUEST_LIFETIME_S)
