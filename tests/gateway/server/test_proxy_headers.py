"""The request ids of trusted proxies are kept, those of others removed."""

from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from gateway.server.proxy_headers import ProxyHeaders


@pytest.mark.parametrize(("peer", "is_kept"), [("10.0.0.1", True), ("203.0.113.9", False)])
async def test_request_id_is_kept_only_from_trusted_proxy(peer: str, is_kept: bool) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope["headers"]))

    headers = [(b"x-request-id", b"r-1"), (b"x-request-id", b"r-2"), (b"accept", b"*/*")]
    scope = {"type": "http", "scheme": "http", "headers": headers, "client": (peer, 1)}
    await ProxyHeaders(app, [ip_network("10.0.0.0/8")])(scope, None, None)  # type: ignore[arg-type]
    assert seen == [dict(headers) if is_kept else {b"accept": b"*/*"}]
