"""When the verifier reads the public keys again, and what it does without them."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from auth.key_cache import KEYS_MAX_AGE_S, RETRY_INTERVAL_S, UNKNOWN_KID_INTERVAL_S
from auth.tokens import KeysUnavailable, Reason, Verifier
from tests.auth.forgery import World, new_key, public


@pytest.fixture
def world() -> World:
    return World()


async def test_the_keys_are_read_once_for_many_tokens_at_once(world: World) -> None:
    await asyncio.gather(*(world.verifier.verify(world.issue()) for _ in range(50)))
    assert world.reads == 1


async def test_a_key_that_another_process_published_works_at_once(world: World) -> None:
    await world.verifier.verify(world.issue())
    rotated = new_key()
    world.published = public(rotated, world.key)
    await world.verifier.verify(world.issue(rotated))
    await world.verifier.verify(world.issue())


async def test_a_thousand_unknown_kids_cost_one_read_a_minute(world: World) -> None:
    await world.verifier.verify(world.issue())
    strangers = [world.forge({"kid": f"stranger-{n}"}) for n in range(1000)]
    refusals = await asyncio.gather(*(world.refusal(token) for token in strangers[:500]))
    refusals += [await world.refusal(token) for token in strangers[500:]]
    assert set(refusals) == {Reason.UNKNOWN_KEY}
    assert world.reads == 2  # the first token's, and one for all the strangers
    world.clock.advance(UNKNOWN_KID_INTERVAL_S)
    await asyncio.gather(*(world.refusal(token) for token in strangers))
    assert world.reads == 3


async def test_a_rotated_key_is_known_within_a_minute_even_under_a_storm_of_unknown_kids(world: World) -> None:
    await world.verifier.verify(world.issue())
    await world.refusal(world.forge({"kid": "stranger"}))
    rotated = new_key()
    world.published = public(rotated, world.key)
    assert await world.refusal(world.issue(rotated)) is Reason.UNKNOWN_KEY
    world.clock.advance(KEYS_MAX_AGE_S)
    await world.verifier.verify(world.issue(rotated))


async def test_a_retired_key_is_refused_within_a_minute(world: World) -> None:
    token = world.issue()
    await world.verifier.verify(token)
    world.published = public(new_key())
    world.clock.advance(KEYS_MAX_AGE_S)
    assert await world.refusal(token) is Reason.UNKNOWN_KEY


async def test_keys_that_cannot_be_renewed_stay_in_use(world: World) -> None:
    await world.verifier.verify(world.issue())
    world.down = True
    world.clock.advance(KEYS_MAX_AGE_S)
    await world.verifier.verify(world.issue())
    with pytest.raises(KeysUnavailable):
        await world.verifier.verify(world.forge({"kid": "perhaps new"}))
    world.down = False
    world.clock.advance(RETRY_INTERVAL_S)
    assert await world.refusal(world.forge({"kid": "not new"})) is Reason.UNKNOWN_KEY


async def test_without_keys_nothing_is_said_about_a_token(world: World) -> None:
    world.down = True
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await world.verifier.verify(world.issue())
    assert world.reads == 1
    world.down = False
    world.clock.advance(RETRY_INTERVAL_S)
    await world.verifier.verify(world.issue())


async def test_a_source_that_hangs_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.key_cache.KEYS_TIMEOUT_S", 0.05)

    async def hang() -> Mapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(KeysUnavailable):
        async with asyncio.timeout(5):
            await Verifier(hang).verify(world.issue())


async def test_a_caller_that_leaves_takes_the_read_from_nobody(world: World) -> None:
    leaving = asyncio.create_task(world.verifier.verify(world.issue()))
    staying = asyncio.create_task(world.verifier.verify(world.issue()))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).user_id == 42
    assert world.reads == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_keys_of_other_kinds_in_the_document_are_left_alone(world: World) -> None:
    foreign = [
        {"kty": "oct", "k": "AAAA", "kid": "o", "alg": "HS256"},
        {"kty": "EC", "crv": "P-521", "kid": "p"},
        {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES", "kid": "e"},
        {"kty": "XYZ"},
    ]
    world.published = {"keys": [*foreign, *world.published["keys"]]}
    assert (await world.verifier.verify(world.issue())).user_id == 42
    assert await world.refusal(world.forge({"kid": "o"})) is Reason.UNKNOWN_KEY
