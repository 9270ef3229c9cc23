"""The client address behind trusted and untrusted proxies."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from httpapi.client_address import client_address, networks_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def request(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    client = (peer, 1) if peer is not None else None
    return Request(
        {"type": "http", "scheme": "http", "path": "/", "headers": headers, "client": client, "query_string": b""}
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
def test_forwarded_address_is_used_only_from_trusted_proxies(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    assert client_address(request(peer, *forwarded), PROXIES) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", ["10.0.0.1"]),
        ("2001:db8:1:203::7", ["2001:db8:1:203::/64", "2001:db8:1:200::/56", "2001:db8:1::/48"]),
        ("testclient", ["unknown"]),
    ],
)
def test_networks_of_an_address_are_narrowest_first(address: str, expected: list[str]) -> None:
    assert [*networks_of(address)] == expected
