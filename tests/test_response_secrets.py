"""The check that no error, metric or audit record that a test receives holds a secret."""

import httpx
import pytest

from auth.tokens.access_tokens import Issuer, TokenNames
from tests.auth.forgery import new_key
from tests.support.response_secrets import secrets_received

JWT = Issuer(TokenNames(), 600).issue(new_key(), 7, "ann")


@pytest.mark.parametrize(
    ("path", "status", "text", "found"),
    [
        ("/api/v1/chats", 400, f"cannot read {JWT}", ["GET /api/v1/chats: 400 with a JWT"]),
        ("/login", 401, "correct horse is wrong", ["GET /login: 401 with a password"]),
        ("/metrics", 200, "tkt_AbC-0123_456789xyz", ["GET /metrics: 200 with a ticket"]),
        ("/api/v1/audit", 200, "Bearer abcdefgh.ijkl", ["GET /api/v1/audit: 200 with a bearer token"]),
        ("/login", 200, JWT, []),
        ("/metrics", 200, "chat_gateway_connections 1", []),
    ],
)
async def test_secret_in_an_error_metric_or_audit_record_is_found(
    path: str, status: int, text: str, found: list[str]
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, text=text))
    with httpx.Client(transport=transport, base_url="http://x") as http:
        http.get(path)
    assert secrets_received() == found
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        await http.get(path)
    assert secrets_received() == found
