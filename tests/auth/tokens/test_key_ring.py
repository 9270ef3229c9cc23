"""The key ring: agreement on the first key, rotation without rejected tokens, retirement."""

import json

import pytest

from auth.tokens.access_tokens import InvalidToken, InvalidTokenReason, Issuer, TokenNames, Verifier
from auth.tokens.jws import LEEWAY_S
from auth.tokens.key_cache import KEYS_MAX_AGE_S
from auth.tokens.key_ring import PUBLISH_AHEAD_S, REREAD_S, KeyRing
from tests.auth.fakes import Clock, MemoryKeys

LIFETIME_S = 1800


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ring(store: MemoryKeys, clock: Clock) -> KeyRing:
    return KeyRing(store, LIFETIME_S, now=clock.utc, monotonic=clock.unix)


async def kids(keys: KeyRing) -> list[str]:
    return [key["kid"] for key in (await keys.jwks())["keys"]]


async def test_first_start_creates_key_and_second_keeps_it(clock: Clock) -> None:
    store = MemoryKeys()
    first, second = ring(store, clock), ring(store, clock)
    assert await kids(first) == await kids(second) == [store.keys[0].kid]
    assert (await second.signing_key()).kid == store.keys[0].kid


async def test_published_keys_are_public_with_thumbprint_as_kid(clock: Clock) -> None:
    keys = ring(MemoryKeys(), clock)
    (published,) = (await keys.jwks())["keys"]
    assert published == {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
        "kid": (await keys.signing_key()).thumbprint(),
        "x": published["x"],
        "y": published["y"],
    }


async def test_stored_key_is_a_complete_private_jwk(clock: Clock) -> None:
    store = MemoryKeys()
    await ring(store, clock).jwks()
    assert json.loads(store.keys[0].private_jwk)["d"]
    assert store.keys[0].created_at == clock.utc()


async def test_key_ring_rereads_database_at_its_interval_only(clock: Clock) -> None:
    store = MemoryKeys()
    keys = ring(store, clock)
    await keys.jwks()
    reads = store.reads
    for _ in range(10):
        await keys.jwks()
        await keys.signing_key()
    assert store.reads == reads
    clock.advance(REREAD_S)
    await keys.jwks()
    assert store.reads == reads + 1


async def test_rotation_over_two_processes_rejects_no_valid_token(clock: Clock) -> None:
    store = MemoryKeys()
    one, two = ring(store, clock), ring(store, clock)
    issuer = Issuer(TokenNames(), LIFETIME_S, now=clock.unix)
    verifier = Verifier(two.jwks, now=clock.unix, monotonic=clock.unix)

    async def token(keys: KeyRing) -> str:
        return issuer.issue(await keys.signing_key(), 7, "ann")

    await verifier.verify(await token(one))
    old = (await one.signing_key()).kid
    clock.advance(1)
    new = await one.rotate()
    assert await kids(one) == [new, old]
    assert (await one.signing_key()).kid == old, "a key signs only once every verifier knows it"

    signers = set()
    for _ in range(int(2 * PUBLISH_AHEAD_S)):  # every second of the rotation, tokens of both work at the other
        for keys in (one, two):
            signers.add((await keys.signing_key()).kid)
            await verifier.verify(await token(keys))
        clock.advance(1)
    assert signers == {old, new}
    assert (await one.signing_key()).kid == (await two.signing_key()).kid == new

    clock.advance(LIFETIME_S + LEEWAY_S)
    assert await kids(one) == await kids(two) == [new]


async def test_last_token_of_retiring_key_stays_valid_until_expiry(clock: Clock) -> None:
    store = MemoryKeys()
    keys = ring(store, clock)
    await keys.jwks()
    clock.advance(1)
    await keys.rotate()
    old_key = await keys.signing_key()
    clock.advance(PUBLISH_AHEAD_S - 1)
    last = Issuer(TokenNames(), LIFETIME_S, now=clock.unix).issue(old_key, 7, "ann")
    verifier = Verifier(keys.jwks, now=clock.unix, monotonic=clock.unix)
    clock.advance(LIFETIME_S - 1)
    assert (await verifier.verify(last)).user_id == 7
    clock.advance(LEEWAY_S + KEYS_MAX_AGE_S + REREAD_S)
    with pytest.raises(InvalidToken) as caught:
        await verifier.verify(last)
    assert caught.value.reason is InvalidTokenReason.UNKNOWN_KEY


def test_key_is_published_ahead_of_verifier_and_ring_lag() -> None:
    assert PUBLISH_AHEAD_S > KEYS_MAX_AGE_S + 2 * REREAD_S
