"""Parameters in the query: one that an operation of `/api/v1` does not have is rejected by name."""

import pytest

from tests.gateway.api.world import World, problem


@pytest.mark.parametrize("query", ["limmit=5", "limit=5&limmit=5", "limmit", "limmit=&token="])
async def test_unknown_parameter_is_rejected_by_name(small_world: World, query: str) -> None:
    ann = await small_world.user("ann")
    chat = await small_world.chat(ann)
    answer = await ann.http.get(f"/api/v1/chats/{chat}/messages?{query}")
    assert problem(answer, 422, "invalid_field")["detail"] == "The query contains an unknown parameter: `limmit`."
    answer = await ann.http.head(f"/api/v1/chats/{chat}/messages?{query}")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/chats"),
        ("POST", "/api/v1/chats"),
        ("GET", "/api/v1/chats/{chat}"),
        ("POST", "/api/v1/chats/{chat}/messages"),
        ("GET", "/api/v1/chats/{chat}/presence"),
        ("POST", "/api/v1/chats/{chat}/members"),
        ("DELETE", "/api/v1/chats/{chat}/members/{user}"),
        ("PUT", "/api/v1/chats/{chat}/owner"),
    ],
)
async def test_unknown_parameter_changes_nothing(small_world: World, method: str, path: str) -> None:
    ann = await small_world.user("ann")
    chat = await small_world.chat(ann)
    url = path.format(chat=chat, user=ann.id) + "?dry_run=1"
    bodies = {"chats": {"kind": "group"}, "messages": {"text": "x"}, "members": {"login": "bob"}}
    body = bodies.get(path.rpartition("/")[2])
    problem(await ann.http.request(method, url, json=body), 422, "invalid_field")
    listed = (await ann.http.get("/api/v1/chats")).json()["chats"]
    assert [(one["id"], one["last_seq"]) for one in listed] == [(chat, 0)]


async def test_parameter_given_twice_is_rejected_by_name(small_world: World) -> None:
    ann = await small_world.user("ann")
    chat = await small_world.chat(ann)
    answer = await ann.http.get(f"/api/v1/chats/{chat}/messages?limit=5&limit=5")
    assert problem(answer, 422, "invalid_field")["detail"].startswith("limit must be one whole number")


async def test_token_is_a_parameter_of_every_call(small_world: World) -> None:
    ann = await small_world.user("ann")
    answer = await small_world.http.get("/api/v1/chats", params={"token": ann.token})
    assert answer.status_code == 200


async def test_name_of_a_long_unknown_parameter_is_cut(small_world: World) -> None:
    ann = await small_world.user("ann")
    answer = await ann.http.get(f"/api/v1/chats?{'x' * 10_000}=1")
    assert len(problem(answer, 422, "invalid_field")["detail"]) < 300
