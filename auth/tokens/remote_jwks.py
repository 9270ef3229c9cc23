"""Reads the public keys of an external issuer from the configured URL; no token can influence it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from auth.errors import UnusableKeys
from auth.tokens.key_cache import KEYS_TIMEOUT_S, PublicKeys
from httpapi.bounded_json import read_json
from httpapi.errors import InvalidJson

MAX_BYTES: Final = 256 * 1024  # a hundred keys with their certificates


@asynccontextmanager
async def open_jwks_url(url: str) -> AsyncIterator[PublicKeys]:
    """A function that reads the document at `url` at each call and raises httpx.HTTPError or UnusableKeys.

    Redirects are not followed: they would choose our keys. The caller bounds the duration of a call
    (`auth.tokens.key_cache`).
    """
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}  # so that MAX_BYTES bounds memory
    async with httpx.AsyncClient(timeout=KEYS_TIMEOUT_S, headers=headers) as http:

        async def read() -> Mapping[str, Any]:
            async with http.stream("GET", url) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise UnusableKeys(f"status {answer.status_code}")
                return _document(await _body(answer))

        yield read


async def _body(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise UnusableKeys(f"over {MAX_BYTES} bytes")
    return bytes(body)


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = read_json(body)
    except InvalidJson:
        raise UnusableKeys("no JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise UnusableKeys("no JWKS")
    return document
