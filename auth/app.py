"""The composition of auth: builds every object, and the application for a process of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypedDict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.accounts.counters import Counters
from auth.accounts.devices import Devices
from auth.accounts.login import Login
from auth.accounts.login_limits import LoginLimits
from auth.accounts.password_check import PasswordCheck
from auth.accounts.passwords import Passwords
from auth.accounts.registration import Registration
from auth.accounts.registration_limits import RegistrationLimits
from auth.accounts.second_factor import SecondFactorCheck
from auth.accounts.sessions import Sessions, SessionStore
from auth.accounts.store import AccountStore
from auth.api.answers import RouteGroup
from auth.api.callers import Callers
from auth.api.client_limits import ClientLimits
from auth.api.invitations import InvitationRoutes
from auth.api.oauth2 import TokenEndpoint
from auth.api.own_sessions import OwnSessionRoutes
from auth.api.passwords import PasswordRoutes
from auth.api.routes import AuthRoutes
from auth.api.sessions import SessionRoutes
from auth.api.totp import TotpRoutes
from auth.credentials.invitations import InvitationIssuer
from auth.credentials.password_change import PasswordChange
from auth.credentials.password_reset import Deliver, PasswordReset
from auth.credentials.totp import Totp
from auth.events import SILENT, AuthEvents
from auth.settings import AuthSettings
from auth.tokens.access_tokens import DeviceIssuer, GuestIssuer, Issuer, Verifier
from auth.tokens.guests import Guests
from auth.tokens.key_ring import KeyRing, KeyStore
from httpapi.audit.middleware import Audit
from httpapi.audit.recorder import Recorder
from httpapi.docs_pages import api_pages
from httpapi.errors import Problem, forbidden_origin
from httpapi.operation import Audience, operation
from httpapi.redirects import RelativeRedirects
from httpapi.security_headers import SecurityHeaders
from httpapi.service_keys import ServiceKeys
from httpapi.site import AllowedOrigins


class AuthService:
    """The objects of auth, over storage and limits that the caller provides and closes."""

    def __init__(
        self,
        accounts: AccountStore,
        session_store: SessionStore,
        keys: KeyStore,
        counters: Counters,
        settings: AuthSettings,
        events: AuthEvents = SILENT,
        *,
        send_reset: Deliver | None = None,
    ) -> None:
        """Without `send_reset`, the operator's hook, passwords cannot be reset; with it, `send_resets` must run."""
        self.key_ring = KeyRing(keys, settings.longest_token_s)
        names = settings.token_names
        self._login_passwords = Passwords(on_hashed=events.hashed)
        # Threads of its own: however many register, a login never waits behind them.
        self._new_passwords = Passwords(threads=1, waiting=64, on_hashed=events.hashed)
        verifier = Verifier(self.key_ring.jwks, names)
        devices = Devices(self.key_ring, DeviceIssuer(names), verifier)
        issuer = Issuer(names, settings.token_lifetime_s)
        check = PasswordCheck(accounts, self._login_passwords, LoginLimits(counters))
        sessions = Sessions(
            session_store,
            self.key_ring,
            issuer,
            settings.refresh_lifetime_s,
            events.refreshed,
            longest_s=settings.longest_session_s,
        )
        factors = SecondFactorCheck(accounts.factors, counters, events.code_limited)
        login = Login(accounts, check, factors, devices, sessions, events.login)
        self._token_endpoint = TokenEndpoint(login)
        registration_limits = RegistrationLimits(counters, settings.registrations_per_minute)
        registration = Registration(
            accounts, self._new_passwords, registration_limits, events, needs_invitation=settings.needs_invitation
        )
        guests = Guests(self.key_ring, GuestIssuer(names), events.guest)
        callers = Callers(sessions, verifier)
        limits = ClientLimits(counters, settings.trusted_proxies, events.call_limited)
        change = PasswordChange(accounts, check, self._login_passwords, devices, counters, events.password)
        self._reset = PasswordReset(accounts, self._login_passwords, counters, send_reset, events)
        service_keys = ServiceKeys(settings.service_keys)
        groups: list[RouteGroup] = [
            SessionRoutes(sessions, callers, limits, settings.site),
            PasswordRoutes(callers, change, self._reset, settings.trusted_proxies),
            TotpRoutes(callers, Totp(accounts, check, factors, devices, settings.site.name), settings.trusted_proxies),
            OwnSessionRoutes(sessions, callers),
            InvitationRoutes(InvitationIssuer(accounts.invitations), service_keys, settings.site),
        ]
        self._routes = AuthRoutes(
            registration, login, groups, self._token_endpoint, guests, limits, self.key_ring, service_keys, settings
        )
        self.site = settings.site
        self.trusted_proxies = settings.trusted_proxies
        self.origins = settings.origins

    def routes(self) -> list[BaseRoute]:
        """The routes, for `create_app` or for another application that serves auth too."""
        return self._routes.routes()

    async def send_resets(self) -> None:
        """Serve requests to reset a password until cancelled; several may run."""
        await self._reset.work()

    @property
    def hashing(self) -> int:
        """Number of passwords that are being hashed or wait for a thread."""
        return self._login_passwords.under_way + self._new_passwords.under_way

    def close(self) -> None:
        """Release the threads; does not block."""
        self._token_endpoint.close()
        self._login_passwords.close()
        self._new_passwords.close()


def create_app(
    service: AuthService,
    beside: Sequence[BaseRoute] = (),
    *,
    audit: Recorder | None = None,
    is_production: bool = False,
) -> SecurityHeaders:
    """The application of a separate auth process: auth and the routes `beside`. It closes the service when it stops."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            service.close()

    routes = [*service.routes(), Route("/livez", _livez, methods=["GET"]), *beside]
    pages = api_pages(routes, service.site, title="chat-gateway auth", about="Accounts and tokens.")
    app: ASGIApp = Starlette(
        routes=[*routes, *pages],
        middleware=[Middleware(KnownOrigins, origins=service.origins), Middleware(RelativeRedirects)],
        exception_handlers={HTTPException: _on_http_error, Exception: _on_unexpected_error},
        lifespan=lifespan,
    )
    if audit is not None:
        app = Audit(app, audit, service.trusted_proxies)
    return SecurityHeaders(app, service.site.public_url, is_production=is_production)


class KnownOrigins:
    """ASGI middleware of a separate auth process: rejects requests of pages whose origin is not allowed.

    A gateway does that before any route. A page of a sibling domain is same-site: SameSite=Strict does not stop it.
    """

    def __init__(self, app: ASGIApp, origins: AllowedOrigins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or respond with 403."""
        app = self._app
        if scope["type"] == "http":
            request = Request(scope)
            origin = request.headers.get("origin")
            if origin is not None and not self._origins.allows(origin, request):
                app = forbidden_origin().response()
        await app(scope, receive, send)


class AuthAlive(TypedDict):
    """This process runs."""

    status: str


@operation("Liveness probe: whether this process works.", Audience.ANYBODY, {200: AuthAlive})
async def _livez(_: Request) -> Response:
    """Shows that the event loop runs."""
    return Response(b'{"status":"alive"}', headers={"Cache-Control": "no-store"}, media_type="application/json")


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Respond to an unknown URL (404) or method (405)."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    return Problem(status, code, error.detail, headers=error.headers).response()


async def _on_unexpected_error(request: Request, error: Exception) -> Response:
    """Respond to an unexpected exception without details; the server logs the traceback."""
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.").response()
