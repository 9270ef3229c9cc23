"""Posts over HTTP count in the metrics like messages over a socket."""

from gateway.interfaces.rate_limits import RateLimited
from tests.gateway.api.world import World


def _posts(world: World, outcome: str) -> float | None:
    labels = {"dialect": "http", "command": "message", "outcome": outcome}
    return world.metrics.registry.get_sample_value("chat_gateway_commands_total", labels)


async def test_posts_are_counted_by_outcome(small_world: World) -> None:
    ann, eve = await small_world.user("ann"), await small_world.user("eve")
    url = f"/api/v1/chats/{await small_world.chat(ann)}/messages"
    for key in ("a", "a", "b"):
        assert (await ann.http.post(url, json={"text": "hi"}, headers={"Idempotency-Key": key})).is_success
    await ann.http.post(url, json={"text": ""})
    await eve.http.post(url, json={"text": "hi"})
    assert [_posts(small_world, outcome) for outcome in ("ok", "empty_text", "not_found")] == [3, 1, 1]


async def test_rate_limited_post_is_counted(small_world: World) -> None:
    ann = await small_world.user("ann")
    url = f"/api/v1/chats/{await small_world.chat(ann)}/messages"
    small_world.node.answer = RateLimited(12.3)
    await ann.http.post(url, json={"text": "hi"})
    assert small_world.metrics.registry.get_sample_value("chat_gateway_rate_limited_total") == 1
    assert _posts(small_world, "rate_limited") == 1
