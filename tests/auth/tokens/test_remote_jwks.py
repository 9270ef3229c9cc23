"""The JWKS endpoint of the external issuer: a result or a failure, in bounded time and memory."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from auth.errors import KeysUnavailable, UnusableKeys
from auth.tokens.external_issuer import ExternalIssuerVerifier
from auth.tokens.key_cache import KEYS_TIMEOUT_S
from auth.tokens.remote_jwks import MAX_BYTES, open_jwks_url
from tests.auth.forgery import new_key
from tests.auth.jwks_server import JwksServer, run_jwks_server
from tests.support.external_tokens import token
from tests.support.machine_speed import slowness

KEY = new_key()


@pytest.fixture
async def jwks() -> AsyncIterator[JwksServer]:
    async with run_jwks_server(KEY) as server:
        yield server


async def test_jwks_document_is_read_from_url(jwks: JwksServer) -> None:
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
async def test_response_without_key_set_is_a_failure(jwks: JwksServer, raw: bytes) -> None:
    jwks.raw = raw
    async with open_jwks_url(jwks.url) as read:
        with pytest.raises((UnusableKeys, httpx.HTTPError)):
            await read()
    assert len(jwks.requests) == 1


def outside(read: object) -> ExternalIssuerVerifier:
    return ExternalIssuerVerifier(secret="", read_keys=read, issuer="", audience="")  # type: ignore[arg-type]


@pytest.mark.parametrize("mood", ["down", "garbage", "huge", "hanging"])
async def test_failing_jwks_endpoint_is_an_outage_only_for_new_keys(jwks: JwksServer, mood: str) -> None:
    async with open_jwks_url(jwks.url) as read:
        clock = [0.0]
        verifier = ExternalIssuerVerifier(secret="", read_keys=read, issuer="", audience="", monotonic=lambda: clock[0])
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
        assert time.monotonic() - started < KEYS_TIMEOUT_S + slowness()

        jwks.raw, jwks.hangs = None, False
        clock[0] += 60
        assert (await verifier.verify(token(KEY))).subject == "u-1"
        jwks.hangs = True
        clock[0] += 60
        await verifier.verify(token(KEY))  # waits for the first failure …
        clock[0] += 60
        async with asyncio.timeout(0.5 * slowness()):
            await verifier.verify(token(KEY))  # … and for no other


async def test_unknown_kids_cause_one_fetch_from_configured_url(jwks: JwksServer) -> None:
    async with open_jwks_url(jwks.url) as read, run_jwks_server(KEY) as evil:
        verifier = outside(read)
        await verifier.verify(token(KEY))
        for n in range(1000):
            header = {"kid": f"{evil.url}#{n}", "jku": evil.url, "x5u": evil.url}
            with pytest.raises(Exception, match="unknown_key"):
                await verifier.verify(token(KEY, header))
        assert len(jwks.requests) == 2  # the first token's, and one for all the strangers
        assert evil.requests == []
