"""A store and a publisher for each test. The store is SQLite: `storage` tests the differences of the databases."""

from collections.abc import AsyncIterator

import pytest

from tests.gateway.rabbitmq import bench
from tests.gateway.rabbitmq.bench import Peer
from tests.storage.nodes import Node, open_node
from tests.support.migrated import make_store


@pytest.fixture
async def node(sqlite_url: str) -> AsyncIterator[Node]:
    """A node's share of the storage."""
    await make_store(sqlite_url)
    async with open_node(sqlite_url) as node:
        yield node


@pytest.fixture
async def postgres_node(postgres_url: str) -> AsyncIterator[Node]:
    """The same on PostgreSQL."""
    await make_store(postgres_url)
    async with open_node(postgres_url) as node:
        yield node


@pytest.fixture
async def peer(amqp_url: str) -> AsyncIterator[Peer]:
    """Another client of the broker."""
    async with bench.peer(amqp_url) as peer:
        yield peer
