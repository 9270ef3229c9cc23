"""The auth service over real storage of either kind, or in memory where storage is irrelevant."""

from collections.abc import AsyncIterator

import pytest

from auth.accounts.counters import LocalCounters
from auth.app import AuthService
from auth.settings import AuthSettings
from storage.database.database import open_database
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.keys import SigningKeys
from storage.repositories.auth.login_sessions import LoginSessions
from tests.auth.fakes import Clock, MemoryAccounts, MemoryKeys, MemorySessions
from tests.support.migrated import make_store


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[AuthService]:
    """Auth over a database of either kind."""
    await make_store(database_url)
    async with open_database(database_url) as database:
        service = AuthService(
            Accounts(database), LoginSessions(database), SigningKeys(database), LocalCounters(), AuthSettings()
        )
        yield service
        service.close()


@pytest.fixture
async def memory_service() -> AsyncIterator[AuthService]:
    """Auth over memory."""
    accounts = MemoryAccounts()
    sessions = MemorySessions(accounts, Clock())
    service = AuthService(accounts, sessions, MemoryKeys(), LocalCounters(), AuthSettings())
    yield service
    service.close()
