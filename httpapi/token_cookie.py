"""The cookies of a request, as browsers send them, and the one that holds an access token."""

from typing import Final

from starlette.requests import HTTPConnection

COOKIE: Final = "access_token"
MAX_COOKIES: Final = 4
"""The most cookies of this name that are tried. A browser sends several if several paths or domains have one."""


def token_cookies(connection: HTTPConnection) -> tuple[str, ...]:
    """The access tokens in the cookies, each once."""
    return cookies_named(connection, COOKIE)


def cookies_named(connection: HTTPConnection, name: str) -> tuple[str, ...]:
    """The values of the cookies with this name, each once, at most MAX_COOKIES; Starlette's own mapping keeps one.

    Its parser also unquotes every cookie with `http.cookies`, which is quadratic before Python 3.11.10 and 3.12.6
    (CVE-2024-7592): 64 KB of backslashes cost seconds. A token has nothing to unquote (RFC 6265 §4.1.1).
    """
    found: dict[str, None] = {}
    for header in connection.headers.getlist("cookie"):
        for pair in header.split(";"):
            cookie, _, value = pair.partition("=")
            if cookie.strip(" \t") == name and (token := value.strip(" \t").strip('"')):
                found[token] = None
                if len(found) == MAX_COOKIES:
                    return tuple(found)
    return tuple(found)
