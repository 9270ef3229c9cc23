"""Migrated databases and their nodes."""

from collections.abc import AsyncIterator

import pytest

from tests.storage.nodes import Node, open_node
from tests.support.migrated import make_store


@pytest.fixture
async def store_url(database_url: str) -> str:
    """A migrated database of either kind.

    A connection to PostgreSQL may take as long as a setting allows: a busy machine has stopped a test for two seconds.
    """
    await make_store(database_url)
    return f"{database_url}?connect_timeout=5" if database_url.startswith("postgres") else database_url


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
    await make_store(postgres_url)
    return postgres_url


@pytest.fixture
async def postgres_node(postgres_store_url: str) -> AsyncIterator[Node]:
    """A node on PostgreSQL."""
    async with open_node(postgres_store_url) as node:
        yield node
