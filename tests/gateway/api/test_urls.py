"""Invalid URLs: not found, never an internal error."""

import pytest

from tests.gateway.api.world import User, World, problem

NO_IDS = [
    "0",
    "-1",
    "abc",
    "1.0",
    "+1",
    "%201",
    "1_0",
    "1e3",
    "%D9%A1",
    "%C2%B2",
    "%00",
    "1%00",
    "..%2f1",
    "'--",
    "9223372036854775807",
    "9223372036854775808",
    "9" * 5000,
]


@pytest.fixture
async def ann(world: World) -> User:
    return await world.user("ann")


async def test_invalid_id_in_url_is_not_found(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    for text in NO_IDS:
        for path in (text, f"{text}/messages", f"{text}/presence"):
            problem(await ann.http.get(f"/api/v1/chats/{path}"), 404, "not_found")
        problem(await ann.http.post(f"/api/v1/chats/{text}/messages", json={"text": "x"}), 404, "not_found")
        problem(await ann.http.post(f"/api/v1/chats/{text}/members", json={"user_id": ann.id}), 404, "not_found")
        problem(await ann.http.delete(f"/api/v1/chats/{chat_id}/members/{text}"), 404, "not_found")


async def test_unknown_url_and_method_are_problems(ann: User) -> None:
    for path in ("/nowhere", "/api/v1/chats/1/nothing", "/api/v1"):
        problem(await ann.http.get(path), 404, "not_found")
    answer = await ann.http.put("/api/v1/chats", json={})
    problem(answer, 405, "method_not_allowed")
