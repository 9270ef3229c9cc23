"""Redirects that work behind a path prefix, and whose target does not depend on the Host header."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RelativeRedirects:
    """Makes the `Location` of Starlette's slash redirects relative: only the client knows the URL that it sent.

    Starlette writes an absolute URL from the Host header and the path, which lacks the prefix that a proxy has removed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or handshake."""

        async def send_relative(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 307:
                MutableHeaders(scope=message)["Location"] = _other_slash(scope)
            await send(message)

        await self._app(scope, receive, send_relative if scope["type"] == "http" else send)


def _other_slash(scope: Scope) -> str:
    """The same URL without the slashes at its end, or with one where there is none (RFC 3986 §4.2)."""
    path = scope["raw_path"].decode("latin-1")
    bare = path.rstrip("/")
    last = bare.rpartition("/")[2]
    relative = "../" * (len(path) - len(bare)) + last if bare != path else f"./{last}/"
    query = scope["query_string"].decode("latin-1")
    return f"{relative}?{query}" if query else relative
