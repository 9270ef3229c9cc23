"""The allowed methods of URLs and the responses to others."""

import pytest

from tests.gateway.api.world import World, problem


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/v1/chats", {"GET", "HEAD", "POST"}),
        ("/api/v1/chats/1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/api/v1/chats/1/messages", {"GET", "HEAD", "POST"}),
        ("/api/v1/chats/1/members", {"GET", "HEAD", "POST"}),
        ("/api/v1/chats/1/members/1", {"DELETE", "PATCH"}),
        ("/api/v1/chats/1/presence", {"GET", "HEAD"}),
    ],
)
async def test_unknown_method_gets_405_with_allowed_methods(small_world: World, path: str, methods: set[str]) -> None:
    answer = await small_world.http.put(path)
    problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == methods


async def test_head_is_get_without_a_body(small_world: World) -> None:
    ann = await small_world.user("ann")
    answer = await ann.http.head("/api/v1/chats")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
