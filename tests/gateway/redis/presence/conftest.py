"""Two nodes on one Redis."""

from collections.abc import AsyncIterator

import pytest

from tests.gateway.redis.nodes import Node, open_node


@pytest.fixture
async def a(redis_url: str) -> AsyncIterator[Node]:
    """The first."""
    async with open_node(redis_url, "a") as node:
        yield node


@pytest.fixture
async def b(redis_url: str) -> AsyncIterator[Node]:
    """The second."""
    async with open_node(redis_url, "b") as node:
        yield node
