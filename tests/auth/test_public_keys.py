"""When the verifier rereads the public keys, and its behaviour without them."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from auth.tokens.access_tokens import InvalidTokenReason, KeysUnavailable, Verifier
from auth.tokens.key_cache import KEYS_MAX_AGE_S, RETRY_INTERVAL_S, UNKNOWN_KID_INTERVAL_S
from tests.auth.forgery import World, new_key, public


@pytest.fixture
def world() -> World:
    return World()


async def test_keys_are_read_once_for_concurrent_tokens(world: World) -> None:
    await asyncio.gather(*(world.verifier.verify(world.issue()) for _ in range(50)))
    assert world.reads == 1


async def test_key_published_by_another_process_works_at_once(world: World) -> None:
    await world.verifier.verify(world.issue())
    rotated = new_key()
    world.published = public(rotated, world.key)
    await world.verifier.verify(world.issue(rotated))
    await world.verifier.verify(world.issue())


async def test_unknown_kids_cause_one_read_per_minute(world: World) -> None:
    await world.verifier.verify(world.issue())
    strangers = [world.forge({"kid": f"stranger-{n}"}) for n in range(1000)]
    refusals = await asyncio.gather(*(world.refusal(token) for token in strangers[:500]))
    refusals += [await world.refusal(token) for token in strangers[500:]]
    assert set(refusals) == {InvalidTokenReason.UNKNOWN_KEY}
    assert world.reads == 2  # the first token's, and one for all the strangers
    world.clock.advance(UNKNOWN_KID_INTERVAL_S)
    await asyncio.gather(*(world.refusal(token) for token in strangers))
    assert world.reads == 3


async def test_rotated_key_is_known_in_a_minute_despite_unknown_kids(world: World) -> None:
    await world.verifier.verify(world.issue())
    await world.refusal(world.forge({"kid": "stranger"}))
    rotated = new_key()
    world.published = public(rotated, world.key)
    assert await world.refusal(world.issue(rotated)) is InvalidTokenReason.UNKNOWN_KEY
    world.clock.advance(KEYS_MAX_AGE_S)
    await world.verifier.verify(world.issue(rotated))


async def test_first_key_is_known_soon_despite_unknown_kids(world: World) -> None:
    world.published = public()
    assert await world.refusal(world.forge({"kid": "stranger"})) is InvalidTokenReason.UNKNOWN_KEY
    assert world.reads == 1
    world.published = public(world.key)
    world.clock.advance(RETRY_INTERVAL_S)
    await world.verifier.verify(world.issue())


async def test_retired_key_is_rejected_within_a_minute(world: World) -> None:
    token = world.issue()
    await world.verifier.verify(token)
    world.published = public(new_key())
    world.clock.advance(KEYS_MAX_AGE_S)
    assert await world.refusal(token) is InvalidTokenReason.UNKNOWN_KEY


async def test_keys_stay_in_use_while_renewal_fails(world: World) -> None:
    await world.verifier.verify(world.issue())
    world.down = True
    world.clock.advance(KEYS_MAX_AGE_S)
    await world.verifier.verify(world.issue())
    with pytest.raises(KeysUnavailable):
        await world.verifier.verify(world.forge({"kid": "perhaps new"}))
    world.down = False
    world.clock.advance(RETRY_INTERVAL_S)
    assert await world.refusal(world.forge({"kid": "not new"})) is InvalidTokenReason.UNKNOWN_KEY


async def test_missing_keys_are_an_outage_and_not_an_invalid_token(world: World) -> None:
    world.down = True
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await world.verifier.verify(world.issue())
    assert world.reads == 1
    world.down = False
    world.clock.advance(RETRY_INTERVAL_S)
    await world.verifier.verify(world.issue())


async def test_hanging_key_source_times_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.tokens.key_cache.KEYS_TIMEOUT_S", 0.05)

    async def hang() -> Mapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(KeysUnavailable):
        async with asyncio.timeout(5):
            await Verifier(hang).verify(world.issue())


async def test_cancelled_caller_does_not_cancel_shared_read(world: World) -> None:
    leaving = asyncio.create_task(world.verifier.verify(world.issue()))
    staying = asyncio.create_task(world.verifier.verify(world.issue()))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).user_id == 42
    assert world.reads == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_keys_of_other_types_are_ignored(world: World) -> None:
    foreign = [
        {"kty": "oct", "k": "AAAA", "kid": "o", "alg": "HS256"},
        {"kty": "EC", "crv": "P-521", "kid": "p"},
        {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES", "kid": "e"},
        {"kty": "XYZ"},
    ]
    world.published = {"keys": [*foreign, *world.published["keys"]]}
    assert (await world.verifier.verify(world.issue())).user_id == 42
    assert await world.refusal(world.forge({"kid": "o"})) is InvalidTokenReason.UNKNOWN_KEY
