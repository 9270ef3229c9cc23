"""The outside issuer's endpoint in every mood: an answer or a failure, in bounded time and memory."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from auth.errors import KeysUnavailable
from auth.jwks_url import MAX_BYTES, UnusableKeys, open_jwks_url
from auth.key_cache import KEYS_TIMEOUT_S
from auth.outside import OutsideVerifier
from tests.auth.forgery import new_key
from tests.auth.jwks_server import JwksServer, run_jwks_server
from tests.auth.test_outside import token

KEY = new_key()


@pytest.fixture
async def jwks() -> AsyncIterator[JwksServer]:
    async with run_jwks_server(KEY) as server:
        yield server


async def test_the_document_at_the_url_is_read(jwks: JwksServer) -> None:
    async with open_jwks_url(jwks.url) as read:
        assert await read() == {"keys": [KEY.as_dict(private=False)]}
    assert jwks.requests == ["GET /keys.json HTTP/1.1"]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 11\r\n\r\n" + b'{"keys":[]}',
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe",
        b"HTTP/1.1 200 OK\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\n\r\n{"keys": {}}',
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        b'HTTP/1.1 200 OK\r\n\r\n{"keys": []}' + b" " * MAX_BYTES,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"no HTTP at all\r\n\r\n",
    ],
    ids=lambda raw: str(raw[9:70]),
)
async def test_what_is_no_key_set_is_a_failure(jwks: JwksServer, raw: bytes) -> None:
    jwks.raw = raw
    async with open_jwks_url(jwks.url) as read:
        with pytest.raises((UnusableKeys, httpx.HTTPError)):
            await read()
    assert len(jwks.requests) == 1


def outside(read: object) -> OutsideVerifier:
    return OutsideVerifier(secret="", read_keys=read, issuer="", audience="")  # type: ignore[arg-type]


@pytest.mark.parametrize("mood", ["down", "garbage", "huge", "hanging"])
async def test_an_endpoint_in_a_bad_mood_is_an_outage_in_bounded_time_and_none_for_known_keys(
    jwks: JwksServer, mood: str
) -> None:
    async with open_jwks_url(jwks.url) as read:
        clock = [0.0]
        verifier = OutsideVerifier(secret="", read_keys=read, issuer="", audience="", monotonic=lambda: clock[0])
        match mood:
            case "down":
                jwks.raw = b"\r\n"
            case "garbage":
                jwks.raw = b"HTTP/1.1 200 OK\r\n\r\n<html>"
            case "huge":
                jwks.raw = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 20_000_000
            case "hanging":
                jwks.hangs = True
        started = time.monotonic()
        with pytest.raises(KeysUnavailable):
            await verifier.verify(token(KEY))
        assert time.monotonic() - started < KEYS_TIMEOUT_S + 1

        jwks.raw, jwks.hangs = None, False
        clock[0] += 60
        assert (await verifier.verify(token(KEY))).subject == "u-1"
        jwks.hangs = True
        clock[0] += 60
        await verifier.verify(token(KEY))  # waits for the first failure …
        clock[0] += 60
        async with asyncio.timeout(0.5):
            await verifier.verify(token(KEY))  # … and for no other


async def test_a_thousand_unknown_kids_cost_one_fetch_and_no_header_moves_it_elsewhere(jwks: JwksServer) -> None:
    async with open_jwks_url(jwks.url) as read, run_jwks_server(KEY) as evil:
        verifier = outside(read)
        await verifier.verify(token(KEY))
        for n in range(1000):
            header = {"kid": f"{evil.url}#{n}", "jku": evil.url, "x5u": evil.url}
            with pytest.raises(Exception, match="unknown_key"):
                await verifier.verify(token(KEY, header))
        assert len(jwks.requests) == 2  # the first token's, and one for all the strangers
        assert evil.requests == []
