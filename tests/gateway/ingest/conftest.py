"""A store and a peer for each test. The store is SQLite: what the databases do differently is tested in `storage`."""

from collections.abc import AsyncIterator

import pytest

from storage.migrate import migrate
from tests.gateway.ingest import bench
from tests.gateway.ingest.bench import Peer
from tests.storage.nodes import Node, open_node


@pytest.fixture
async def node(sqlite_url: str) -> AsyncIterator[Node]:
    """A node's share of the storage."""
    await migrate(sqlite_url)
    async with open_node(sqlite_url) as node:
        yield node


@pytest.fixture
async def postgres_node(postgres_url: str) -> AsyncIterator[Node]:
    """The same on PostgreSQL."""
    await migrate(postgres_url)
    async with open_node(postgres_url) as node:
        yield node


@pytest.fixture
async def peer(amqp_url: str) -> AsyncIterator[Peer]:
    """Another client of the broker."""
    async with bench.peer(amqp_url) as peer:
        yield peer
