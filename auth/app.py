"""The composition of auth: builds every object, and the application for a process of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypedDict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.accounts import Accounts
from auth.api_pages import api_pages
from auth.attempts import LoginLimits
from auth.events import SILENT, AuthEvents
from auth.guests import Guests
from auth.keys import KeyRing, KeyStore
from auth.login import Login
from auth.oauth2 import TokenEndpoint
from auth.operation import Caller, operation
from auth.passwords import Passwords
from auth.problem import Problem
from auth.registration import Registration
from auth.routes import AuthRoutes
from auth.settings import AuthSettings
from auth.tokens import GuestIssuer, Issuer


class AuthService:
    """Auth over somebody's storage and limits, which stay the caller's to close."""

    def __init__(
        self,
        accounts: Accounts,
        keys: KeyStore,
        limits: LoginLimits,
        settings: AuthSettings,
        events: AuthEvents = SILENT,
    ) -> None:
        self.key_ring = KeyRing(keys, settings.longest_token_s)
        self._passwords = Passwords(on_hashed=events.hashed)
        issuer = Issuer(settings.token_names, settings.token_lifetime_s)
        login = Login(accounts, self._passwords, limits, self.key_ring, issuer, events.login)
        self._token_endpoint = TokenEndpoint(login)
        registration = Registration(accounts, self._passwords, events.registered)
        guests = Guests(self.key_ring, GuestIssuer(settings.token_names), events.guest)
        self._routes = AuthRoutes(registration, login, self._token_endpoint, guests, self.key_ring, settings)

    def routes(self) -> list[BaseRoute]:
        """For `create_app`, or to stand among the routes of another application."""
        return self._routes.routes()

    @property
    def hashing(self) -> int:
        """How many passwords are hashed now or wait for it."""
        return self._passwords.under_way

    def close(self) -> None:
        """Let go of the threads; does not block."""
        self._token_endpoint.close()
        self._passwords.close()


def create_app(service: AuthService, beside: Sequence[BaseRoute] = ()) -> Starlette:
    """An application of auth alone, and what else its process serves; it closes the service when it stops."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            service.close()

    routes = [*service.routes(), Route("/livez", _livez, methods=["GET"]), *beside]
    return Starlette(
        routes=[*routes, *api_pages(routes, title="chat-gateway auth", about="Accounts and tokens.")],
        exception_handlers={HTTPException: _on_http_error, Exception: _on_surprise},
        lifespan=lifespan,
    )


class Alive(TypedDict):
    """This process runs."""

    status: str


@operation("Whether this process should run on.", Caller.ANYBODY, {200: Alive})
async def _livez(_: Request) -> Response:
    """The loop turns. No /readyz: what auth needs, all its replicas share, and its own 503 says when to retry."""
    return Response(b'{"status":"alive"}', headers={"Cache-Control": "no-store"}, media_type="application/json")


async def _on_http_error(request: Request, error: Exception) -> Response:
    """No such URL (404) or method (405)."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    return Problem(status, code, error.detail, headers=error.headers).response()


async def _on_surprise(request: Request, error: Exception) -> Response:
    """A bug of ours: the server logs the traceback, the client learns nothing of it."""
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.").response()
