"""Whose word is taken for where a request comes from."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from auth.addresses import client_address, is_https

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def request(peer: str | None, *forwarded: str, proto: str | None = None, scheme: str = "http") -> Request:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    if proto is not None:
        headers.append((b"x-forwarded-proto", proto.encode()))
    client = (peer, 1) if peer is not None else None
    return Request(
        {"type": "http", "scheme": scheme, "path": "/", "headers": headers, "client": client, "query_string": b""}
    )


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),
        ("10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4, 10.0.0.7"], "1.2.3.4"),
        ("10.0.0.1", ["10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        ("10.0.0.1", ["1.2.3.4, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("::ffff:10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("testclient", ["1.2.3.4"], "unknown"),
        (None, ["1.2.3.4"], "unknown"),
    ],
)
def test_a_forwarded_address_is_believed_from_trusted_proxies_only(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    assert client_address(request(peer, *forwarded), PROXIES) == expected


@pytest.mark.parametrize(
    ("peer", "scheme", "proto", "expected"),
    [
        ("203.0.113.9", "http", None, False),
        ("203.0.113.9", "http", "https", False),
        ("203.0.113.9", "https", None, True),
        ("10.0.0.1", "http", "https", True),
        ("10.0.0.1", "http", "http", False),
        ("10.0.0.1", "http", "https, http", False),
        (None, "http", "https", False),
    ],
)
def test_tls_is_ours_or_a_trusted_proxys(peer: str | None, scheme: str, proto: str | None, expected: bool) -> None:
    assert is_https(request(peer, proto=proto, scheme=scheme), PROXIES) is expected
