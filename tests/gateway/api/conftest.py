"""The HTTP API over both databases, or SQLite only where the kind is irrelevant."""

from collections.abc import AsyncIterator

import pytest

from tests.gateway.api.world import User, World, open_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """The API over a database of either kind."""
    async with open_world(database_url) as world:
        yield world


@pytest.fixture
async def small_world(sqlite_url: str) -> AsyncIterator[World]:
    """The API over SQLite, for what never gets as far as the database."""
    async with open_world(sqlite_url) as world:
        yield world


@pytest.fixture
async def ann(world: World) -> User:
    return await world.user("ann")


@pytest.fixture
async def bob(world: World) -> User:
    return await world.user("bob")


@pytest.fixture
async def eve(world: World) -> User:
    """Somebody who belongs to nothing."""
    return await world.user("eve")
