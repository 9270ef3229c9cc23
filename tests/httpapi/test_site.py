"""The public URL of a service."""

import pytest
from starlette.requests import Request

from httpapi.site import Site


def request(host: str | None, scheme: str = "http") -> Request:
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    return Request({"type": "http", "scheme": scheme, "path": "/", "headers": headers, "query_string": b""})


def test_public_url_overrides_any_host() -> None:
    site = Site("https://chat.example/chat", ["https://evil.example"], any_host=True)
    for host in ("chat.example", "evil.example", None, "a b"):
        assert site.url(request(host)) == "https://chat.example/chat"


@pytest.mark.parametrize(
    ("host", "scheme", "url"),
    [
        ("chat.example", "https", "https://chat.example"),
        ("chat.example", "http", "https://chat.example"),  # TLS ends at a proxy that is not trusted
        ("CHAT.example:443", "https", "https://chat.example"),
        ("plain.example:8080", "http", "http://plain.example:8080"),
        ("[2001:db8::1]:8000", "http", "http://[2001:db8::1]:8000"),
        ("evil.example", "https", None),
        ("chat.example.evil", "https", None),
        ("chat.example:444", "https", None),
        ("plain.example", "http", None),
        ("chat.example@evil.example", "https", None),
        ("chat.example/..", "https", None),
        ("", "https", None),
        (None, "https", None),
        ("a" * 65_536, "https", None),
    ],
)
def test_only_allowed_origins_are_used_without_public_url(host: str | None, scheme: str, url: str | None) -> None:
    allowed = ["https://chat.example", "http://plain.example:8080", "http://[2001:db8::1]:8000"]
    assert Site("", allowed).url(request(host, scheme)) == url


def test_development_uses_any_valid_host() -> None:
    site = Site(any_host=True)
    assert site.url(request("127.0.0.1:8000")) == "http://127.0.0.1:8000"
    assert site.url(request("[::1]:8000", "https")) == "https://[::1]:8000"
    for absurd in ("a b", "a/b", "user@a", "", "[", "a:b", "a" * 300):
        assert site.url(request(absurd)) is None


@pytest.mark.parametrize(
    ("url", "path"),
    [("", "/"), ("https://a.example", "/"), ("https://a.example/chat", "/chat"), ("https://a.example/a/b", "/a/b")],
)
def test_cookie_path_is_the_prefix(url: str, path: str) -> None:
    assert Site(url).cookie_path == path


def test_https_is_derived_from_allowed_origin_of_host() -> None:
    site = Site("", ["https://chat.example", "http://plain.example:8080"])
    assert site.is_https(request("chat.example"))  # TLS ends at a proxy that is not trusted
    assert site.is_https(request("plain.example", "https"))
    assert not site.is_https(request("plain.example:8080"))
    assert not site.is_https(request("evil.example"))
    assert not Site(any_host=True).is_https(request("127.0.0.1:8000"))
    assert not Site("", ["https://chat.example"], any_host=True).is_https(request("chat.example"))
