"""Auth, opened over our own storage, Redis and settings: for the gateway and for `chat-gateway auth`.

With `cli`, the only place of the gateway that imports `auth` beyond its tokens.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from auth.app import AuthService
from auth.events import AuthEvents
from auth.jwks_url import open_jwks_url
from auth.keys import KeyRing
from auth.outside import OutsideVerifier
from auth.settings import AuthSettings
from auth.shared_attempts import TIMEOUT_S, SharedLoginLimits
from auth.tokens import PublicKeys
from gateway.metrics.auth import AuthMetrics
from gateway.metrics.exposition import Registry
from gateway.redis.vendor_clients import open_vendor_clients
from gateway.settings import Settings
from storage.accounts import Accounts
from storage.database import Database
from storage.keys import SigningKeys


@asynccontextmanager
async def open_auth(settings: Settings, database: Database, registry: Registry) -> AsyncIterator[AuthService]:
    """The service over `database`, counted in `registry`, with connections to Redis of its own; Redis may be away."""
    metrics = AuthMetrics(registry)
    events = AuthEvents(metrics.login, metrics.registered, metrics.guest, metrics.hashed)
    async with open_vendor_clients(settings.redis_url, TIMEOUT_S) as redis:
        service = AuthService(
            Accounts(database), SigningKeys(database), SharedLoginLimits(*redis), _auth_settings(settings), events
        )
        metrics.watch(lambda: service.hashing)
        try:
            yield service
        finally:
            service.close()


def public_keys(settings: Settings, database: Database) -> PublicKeys:
    """The keys that verify our tokens, read where auth keeps them: no auth process need be up for that."""
    return KeyRing(SigningKeys(database), _auth_settings(settings).longest_token_s).jwks


async def rotate_key(settings: Settings, database: Database) -> str:
    """Add a key that will sign our tokens; its kid. See `auth.keys` for when, and for how long the old one verifies.

    Raises: StorageUnavailable.
    """
    return await KeyRing(SigningKeys(database), _auth_settings(settings).longest_token_s).rotate()


@asynccontextmanager
async def open_outside(settings: Settings) -> AsyncIterator[OutsideVerifier | None]:
    """The outside issuer's tokens, if one is configured; its URL is read once a token needs it."""
    async with AsyncExitStack() as stack:
        read_keys = await stack.enter_async_context(open_jwks_url(settings.jwks_url)) if settings.jwks_url else None
        if read_keys is None and not settings.secret_key:
            yield None
            return
        yield OutsideVerifier(
            secret=settings.secret_key,
            read_keys=read_keys,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
        )


def _auth_settings(settings: Settings) -> AuthSettings:
    return AuthSettings(
        token_lifetime_s=settings.access_token_expire_minutes * 60,
        trusted_proxies=settings.trusted_proxies,
        allow_guests=settings.allow_guests,
        service_keys=settings.service_keys,
    )
