"""The auth service over real storage of either kind, and over memory where storage plays no part."""

from collections.abc import AsyncIterator

import pytest

from auth.app import AuthService
from auth.attempts import LocalLoginLimits
from auth.settings import AuthSettings
from storage.accounts import Accounts
from storage.database import open_database
from storage.keys import SigningKeys
from storage.migrate import migrate
from tests.auth.fakes import MemoryAccounts, MemoryKeys


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[AuthService]:
    """Auth over a database of either kind."""
    await migrate(database_url)
    async with open_database(database_url) as database:
        service = AuthService(Accounts(database), SigningKeys(database), LocalLoginLimits(), AuthSettings())
        yield service
        service.close()


@pytest.fixture
async def memory_service() -> AsyncIterator[AuthService]:
    """Auth over memory."""
    service = AuthService(MemoryAccounts(), MemoryKeys(), LocalLoginLimits(), AuthSettings())
    yield service
    service.close()
