"""The auth service over real storage of either kind, or in memory where storage is irrelevant."""

from collections.abc import AsyncIterator

import pytest

from auth.accounts.counters import LocalCounters
from auth.app import AuthService
from auth.settings import AuthSettings
from storage.database.database import Database, open_database
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.keys import SigningKeys
from storage.repositories.auth.login_sessions import LoginSessions
from tests.auth.fakes import Clock, MemoryAccounts, MemoryKeys, MemorySessions
from tests.support.migrated import make_store


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of either kind, of the current version."""
    await make_store(database_url)
    async with open_database(database_url) as database:
        yield database


@pytest.fixture
def settings() -> AuthSettings:
    """Those of `service`; the tests of a feature have others."""
    return AuthSettings()


@pytest.fixture
async def service(database: Database, settings: AuthSettings) -> AsyncIterator[AuthService]:
    """Auth over the database."""
    service = AuthService(Accounts(database), LoginSessions(database), SigningKeys(database), LocalCounters(), settings)
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
