"""Requests and expected responses of the HTTP tests."""

from typing import Any

import httpx
from starlette.applications import Starlette

from httpapi.security_headers import SecurityHeaders

TOKEN_PATH = "/api/v1/login/access-token"
ANN = {"login": "ann@example.com", "password": "correct horse"}
FORM = {"username": "ann@example.com", "password": "correct horse"}


def client_of(app: Starlette | SecurityHeaders, scheme: str = "http") -> httpx.AsyncClient:
    """A client of the application, somewhere on the Internet."""
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://chat.example")


async def register(http: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    """Register Ann, changed as given."""
    return await http.post("/register", json=ANN | changes)


async def published(http: httpx.AsyncClient) -> Any:
    """The JWKS document, as another service would read it."""
    return (await http.get("/.well-known/jwks.json")).json()


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, once it is seen to be a whole one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["title"]
    assert "Traceback" not in answer.text
    return document
