"""Responses are compressed for those who ask for it, from a size on."""

import gzip
import json

import httpx
import pytest
from starlette.responses import Response

from gateway.http.compression import JsonResponse
from httpapi.content.accept_encoding import MIN_BYTES, accepts_gzip


async def fetched(response: Response, accepted: str | None) -> httpx.Response:
    """The response as a client gets it."""
    transport = httpx.ASGITransport(response)
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers={"accept-encoding": ""}) as http:
        return await http.get("/", headers={} if accepted is None else {"accept-encoding": accepted})


def json_of(size: int) -> bytes:
    """A JSON text of this many bytes."""
    return b'"' + b"x" * (size - 2) + b'"'


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True),
        ("GZip;q=0.5", True),
        ("br, gzip ; q=1.0, *;q=0", True),
        ("deflate, *", True),
        ("*;q=0.001", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("br, deflate", False),
        ("identity", False),
        ("xgzip", False),
        ("", False),
        (",;,", False),
    ],
)
def test_encoding_is_negotiated(accepted: str, is_compressed: bool) -> None:
    assert accepts_gzip(accepted) == is_compressed


@pytest.mark.parametrize("size", [MIN_BYTES, 200_000])
async def test_large_json_is_compressed_if_accepted(size: int) -> None:
    body = json_of(size)
    packed = await fetched(JsonResponse(body), "gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert (packed.headers["vary"], packed.json()) == ("Accept-Encoding", json.loads(body))
    assert int(packed.headers["content-length"]) < size / 10
    plain = await fetched(JsonResponse(body), None)
    assert (plain.content, plain.headers["vary"]) == (body, "Accept-Encoding")
    assert "content-encoding" not in plain.headers


async def test_small_json_and_errors_stay_as_they_are() -> None:
    for response in (JsonResponse(json_of(MIN_BYTES - 1)), JsonResponse(json_of(5000), 404)):
        body = response.body
        got = await fetched(response, "gzip")
        assert (got.content, "content-encoding" in got.headers) == (body, False)


async def test_compressed_body_has_no_time_in_it() -> None:
    first, second = [(await fetched(JsonResponse(json_of(5000)), "gzip")).headers["content-length"] for _ in range(2)]
    assert first == second == str(len(gzip.compress(json_of(5000), 3, mtime=0)))
