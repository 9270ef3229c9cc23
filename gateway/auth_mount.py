"""Auth, opened over our own storage and Redis: for the replicas of `up`, and for `chat-gateway auth`.

With `cli`, the only place of the gateway that imports `auth` beyond its tokens.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from auth.app import AuthService
from auth.settings import AuthSettings
from auth.shared_attempts import SharedLoginLimits
from gateway.settings import Settings
from storage.accounts import Accounts
from storage.database import open_database
from storage.keys import SigningKeys


@asynccontextmanager
async def open_auth(settings: Settings) -> AsyncIterator[AuthService]:
    """The service, with connections of its own that are closed on leaving.

    Raises: StorageUnavailable. Redis may be away: the login limits are then kept by each process for itself.
    """
    auth_settings = AuthSettings(
        token_lifetime_s=settings.access_token_expire_minutes * 60, trusted_proxies=settings.trusted_proxies
    )
    async with (
        open_database(settings.database_url) as database,
        Redis.from_url(settings.redis_url, retry=Retry(NoBackoff(), 1)) as redis,
    ):
        service = AuthService(Accounts(database), SigningKeys(database), SharedLoginLimits(redis), auth_settings)
        try:
            yield service
        finally:
            service.close()
