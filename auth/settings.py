"""The settings of the auth service, as plain values; the CLI reads them from the environment."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from auth.tokens.access_tokens import GUEST_LIFETIME_S, TokenNames
from httpapi.site import AllowedOrigins, Site


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """`trusted_proxies` are the networks whose X-Forwarded-For is used.

    Unless `allow_guests`, guest tokens are for callers with one of the `service_keys`. Unless `registration_is_open`,
    only the operator creates accounts; else one client may create `registrations_per_minute`, each with an invitation
    if it `needs_invitation`. Pages of other `origins` are rejected.
    """

    token_lifetime_s: int = 30 * 60
    refresh_lifetime_s: int = 30 * 24 * 3600
    longest_session_s: int = 180 * 24 * 3600
    token_names: TokenNames = field(default_factory=TokenNames)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    allow_guests: bool = False
    registration_is_open: bool = True
    needs_invitation: bool = False
    registrations_per_minute: int = 20
    site: Site = field(default_factory=Site)
    origins: AllowedOrigins = field(default_factory=AllowedOrigins)
    service_keys: tuple[str, ...] = field(default=(), repr=False)

    @property
    def longest_token_s(self) -> int:
        """Lifetime of the longest-lived token that auth issues: a retired key stays published for that long."""
        return max(self.token_lifetime_s, GUEST_LIFETIME_S)
