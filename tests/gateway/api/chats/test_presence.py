"""Presence over HTTP."""

from gateway.protocol.replies import Present
from storage.records import ChatKind
from tests.gateway.api.world import User, World, problem


async def test_connected_members_are_listed(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    world.presence.present = {chat_id: [Present(bob.id, "bob", 1_700_000_000)]}
    answer = await ann.http.get(f"/api/v1/chats/{chat_id}/presence")
    shown = {"user_id": bob.id, "username": "bob", "display_name": "Bob Test", "connected_at": "2023-11-14T22:13:20Z"}
    assert answer.json() == {"members": [shown]}


async def test_presence_without_redis_is_unavailable(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    world.presence.present = None
    answer = await ann.http.get(f"/api/v1/chats/{chat_id}/presence")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_presence_is_visible_only_with_the_chat(world: World, ann: User, eve: User) -> None:
    hidden, public = await world.chat(ann), await world.chat(ann, kind=ChatKind.PUBLIC)
    problem(await eve.http.get(f"/api/v1/chats/{hidden}/presence"), 404, "not_found")
    assert (await eve.http.get(f"/api/v1/chats/{public}/presence")).json() == {"members": []}
