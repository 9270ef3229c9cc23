"""The auth service over real storage of either kind."""

from collections.abc import AsyncIterator

import pytest

from auth.app import AuthService
from auth.attempts import LocalLoginLimits
from auth.settings import AuthSettings
from tests.auth.fakes import MemoryAccounts, MemoryKeys


@pytest.fixture
async def service() -> AsyncIterator[AuthService]:
    service = AuthService(MemoryAccounts(), MemoryKeys(), LocalLoginLimits(), AuthSettings())
    yield service
    service.close()
