"""Reads an outside issuer's public keys from the URL that the operator set; no token has a say in it."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from auth.key_cache import KEYS_TIMEOUT_S, PublicKeys

MAX_BYTES: Final = 256 * 1024  # a hundred keys with their certificates


class UnusableKeys(Exception):
    """What is at the URL is no JWKS document of a sensible size."""


@asynccontextmanager
async def open_jwks_url(url: str) -> AsyncIterator[PublicKeys]:
    """Reads the document at `url` anew at each call, which raises httpx.HTTPError or UnusableKeys.

    A redirect is not followed: whoever can make one would choose our keys. The reader bounds the whole of a call
    (`auth.key_cache`).
    """
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}  # what is small here is small when unpacked
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
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise UnusableKeys("no JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise UnusableKeys("no JWKS")
    return document
