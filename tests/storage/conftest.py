"""Migrated databases and the nodes on them."""

from collections.abc import AsyncIterator

import pytest

from storage.migrate import migrate
from tests.storage.nodes import Node, open_node


@pytest.fixture
async def store_url(database_url: str) -> str:
    """A migrated database of either kind."""
    await migrate(database_url)
    return database_url


@pytest.fixture
async def node(store_url: str) -> AsyncIterator[Node]:
    """A node on a fresh store."""
    async with open_node(store_url) as node:
        yield node


@pytest.fixture
async def other_node(node: Node, store_url: str) -> AsyncIterator[Node]:
    """A second node on the same store."""
    async with open_node(store_url) as node:
        yield node


@pytest.fixture
async def postgres_store_url(postgres_url: str) -> str:
    """A migrated PostgreSQL database."""
    await migrate(postgres_url)
    return postgres_url


@pytest.fixture
async def postgres_node(postgres_store_url: str) -> AsyncIterator[Node]:
    """A node on PostgreSQL."""
    async with open_node(postgres_store_url) as node:
        yield node
