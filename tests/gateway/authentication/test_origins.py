"""The web pages that may call."""

import pytest

from gateway.authentication.credentials import Credentials, Source
from gateway.authentication.origins import Origins
from tests.gateway.requests import connection

LOOK_ALIKES = [
    "null",
    "",
    "*",
    "file://",
    "https://example.com.evil",
    "https://evil-example.com",
    "https://evilexample.com",
    "https://example.com:444",
    "http://example.com",
    "https://example.com@evil.com",
    "https://user@example.com",
    "https://@example.com",
    "https://example.com/",
    "https://example.com/path",
    "https://example.com?x",
    "https://example.com#x",
    "https://example.com:0",
    "https://example.com:",
    "https://example.com:99999999",
    "https://example.com:٤٤٣",
    "https://example.com ",
    " https://example.com",
    "https://exam\tple.com",
    "https://example.com\n",
    "https://example.com https://evil.com",
    "https://example.com,https://evil.com",
    "https://example.com\\.evil.com",
    "https://еxample.com",  # a Cyrillic е
    "https://example。com",
    "https://example.com%00.evil.com",
    "wss://example.com",
    "chrome-extension://example.com",
    "httpſ://example.com",  # which equals s where letter case is ignored
    "https:example.com",
    "//example.com",
    "example.com",
]


def origins(*allowed: str, public_url: str = "", is_development: bool = False) -> Origins:
    return Origins(allowed, public_url=public_url, is_development=is_development)


def test_allowed_origin_matches_any_case_and_default_port() -> None:
    listed = origins("https://example.com", "http://[2001:db8::1]:3000", "http://localhost:3000")
    for origin in (
        "https://example.com",
        "https://example.com:443",
        "HTTPS://Example.COM",
        "http://[2001:DB8::1]:3000",
        "http://localhost:3000",
    ):
        assert listed.allows(origin, connection()), origin


@pytest.mark.parametrize("origin", LOOK_ALIKES)
def test_similar_origin_is_not_allowed(origin: str) -> None:
    assert not origins("https://example.com").allows(origin, connection(host="elsewhere"))
    assert not origins(public_url="https://example.com").allows(origin, connection(host="elsewhere"))


def test_wildcard_allows_any_origin_but_null() -> None:
    assert origins("*").allows("https://anywhere.example", connection())
    assert not origins("*").allows("null", connection())


def test_only_own_host_is_allowed_by_default() -> None:
    own = origins()
    assert own.allows("http://chat.example", connection())
    assert own.allows("http://chat.example:80", connection())
    assert own.allows("https://chat.example", connection(scheme="https"))
    assert own.allows("https://chat.example", connection(kind="websocket", scheme="https"))
    assert own.allows("http://chat.example:8080", connection(host="chat.example:8080"))
    assert own.allows("http://[::1]:8000", connection(host="[::1]:8000"))
    assert not own.allows("https://chat.example", connection())
    assert not own.allows("http://chat.example", connection(host="chat.example:8080"))
    assert not own.allows("http://other.example", connection())


@pytest.mark.parametrize("host", ["", "a b", "chat.example/", "user@chat.example", "[", "chat.example:x"])
def test_invalid_host_allows_no_origin(host: str) -> None:
    for origin in ("http://", f"http://{host}", "http://chat.example", "null"):
        assert not origins().allows(origin, connection(host=host))


def test_configured_list_replaces_own_host() -> None:
    assert not origins("https://example.com").allows("http://chat.example", connection())


def test_public_url_is_always_allowed() -> None:
    public = origins("https://other.example", public_url="https://example.com:8443/chat")
    assert public.allows("https://example.com:8443", connection())
    assert not public.allows("https://example.com", connection())


def test_development_allows_any_port_of_localhost() -> None:
    for origin in ("http://localhost:5173", "http://127.0.0.1:3000", "https://localhost", "http://[::1]:1"):
        assert origins(is_development=True).allows(origin, connection())
        assert not origins().allows(origin, connection())
    for origin in ("http://localhost.evil.com", "http://127.0.0.1.evil.com", "http://127.0.0.2", "null"):
        assert not origins(is_development=True).allows(origin, connection())


def test_forwarding_headers_are_ignored() -> None:
    spoofed = connection(("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https"))
    assert not origins().allows("https://evil.example", spoofed)
    assert not origins().allows("https://chat.example", spoofed)


EXPLICIT, COOKIE = Credentials("t", Source.HEADER), Credentials("t", Source.COOKIE)


@pytest.mark.parametrize("credentials", [None, EXPLICIT, COOKIE])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_foreign_page_is_rejected_whatever_its_token(kind: str, credentials: Credentials | None) -> None:
    assert origins().refuses(connection(("Origin", "http://evil.example"), kind=kind), credentials)
    assert origins().refuses(connection(("Origin", "null"), kind=kind), credentials)
    assert not origins().refuses(connection(("Origin", "http://chat.example"), kind=kind), credentials)


def test_explicit_token_without_origin_is_enough() -> None:
    for credentials in (None, EXPLICIT):
        assert not origins().refuses(connection(kind="websocket"), credentials)
        assert not origins().refuses(connection(method="POST"), credentials)


def test_cookie_without_origin_is_rejected_except_for_reads() -> None:
    assert origins().refuses(connection(kind="websocket"), COOKIE)
    for method in ("POST", "PUT", "PATCH", "DELETE", "MERGE"):
        assert origins().refuses(connection(method=method), COOKIE)


def test_cookie_reads_only_for_its_own_site() -> None:
    for site, is_refused in (("cross-site", True), ("same-site", False), ("same-origin", False), ("none", False)):
        assert origins().refuses(connection(("Sec-Fetch-Site", site)), COOKIE) is is_refused
        assert not origins().refuses(connection(("Sec-Fetch-Site", site)), EXPLICIT)
    assert not origins().refuses(connection(), COOKIE)
