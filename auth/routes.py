"""Every URL of auth, on one screen."""

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Annotated, Any, TypedDict

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth import oauth2, problems, rules
from auth.addresses import client_address, is_https
from auth.bodies import read_form, read_json
from auth.errors import Overloaded
from auth.guests import EMAIL_PATTERN, MAX_EMAIL, MAX_ROOM_ID, MAX_USERNAME, Guests
from auth.keys import KeyRing
from auth.login import Granted, Limited, Login, WrongCredentials
from auth.operation import Caller, operation
from auth.problem import Problem
from auth.registration import Registration
from auth.service_keys import ServiceKeys
from auth.settings import AuthSettings
from storage.errors import LoginTaken, StorageUnavailable

Endpoint = Callable[[Request], Awaitable[Response]]


def _text(**schema: object) -> msgspec.Meta:
    """What a text must be, for the document only: the rules themselves name everything that is wrong at once."""
    return msgspec.Meta(extra_json_schema=schema)


Name = Annotated[str, _text(maxLength=rules.MAX_NAME)]


class NewAccount(msgspec.Struct):
    """Body of `POST /register`."""

    login: Annotated[str, _text(pattern=rules.LOGIN_PATTERN)]
    password: Annotated[str, _text(minLength=rules.MIN_PASSWORD, maxLength=rules.MAX_PASSWORD)]
    first_name: Name = ""
    last_name: Name = ""


class Credentials(msgspec.Struct):
    """Body of `POST /login`."""

    login: str
    password: str


class NewGuest(msgspec.Struct):
    """Body of `POST /generate-token`."""

    username: Annotated[str, _text(minLength=1, maxLength=MAX_USERNAME)]
    email: Annotated[str, _text(maxLength=MAX_EMAIL, pattern=EMAIL_PATTERN)]
    room_id: Annotated[str, _text(minLength=1, maxLength=MAX_ROOM_ID)]


class PasswordGrant(msgspec.Struct):
    """Form of `POST /api/v1/login/access-token` (RFC 6749 §4.3.2)."""

    username: str
    password: str
    grant_type: str = "password"


class Account(TypedDict):
    """A new account."""

    id: int
    login: str


class AccessToken(TypedDict):
    """A token, good for `expires_in` seconds."""

    access_token: str
    token_type: str
    expires_in: int


class GuestToken(TypedDict):
    """A token for one room."""

    token: str


class KeySet(TypedDict):
    """A JWK Set."""

    keys: list[dict[str, str]]


class AuthRoutes:
    """The HTTP side of registration, login, guests and keys: JSON, and problem JSON where something is wrong."""

    def __init__(
        self,
        registration: Registration,
        login: Login,
        token_endpoint: oauth2.TokenEndpoint,
        guests: Guests,
        keys: KeyRing,
        settings: AuthSettings,
    ) -> None:
        self._registration = registration
        self._login = login
        self._token_endpoint = token_endpoint
        self._guests = guests
        self._keys = keys
        self._is_open_to_guests = settings.allow_guests
        self._service_keys = ServiceKeys(settings.service_keys)
        self._trusted = settings.trusted_proxies

    def routes(self) -> list[BaseRoute]:
        """To be served alone or beside others: they need no exception handler and no lifespan of the application."""
        return [
            Route("/register", _answers_problems(self.register), methods=["POST"]),
            Route("/login", _answers_problems(self.login), methods=["POST"]),
            Route(oauth2.PATH, _answers_oauth2_problems(self.access_token), methods=["POST"]),
            Route("/generate-token", _answers_problems(self.generate_token), methods=["POST"]),
            Route("/.well-known/jwks.json", _answers_problems(self.jwks), methods=["GET"]),
        ]

    @operation(
        "Make an account.",
        Caller.ANYBODY,
        {201: Account},
        {409: "login_taken", 503: "unavailable"},
        body=NewAccount,
        example={"login": "ann", "password": "correct horse"},
        details="Login: 3 to 64 letters, digits and `._@+-`. Password: 8 to 128 characters, and not the login.",
    )
    async def register(self, request: Request) -> Response:
        """201 with the new user; 409 if the login is taken; 422 with every broken rule."""
        new = await read_json(request, NewAccount)
        outcome = await self._registration.register(new.login, new.password, new.first_name, new.last_name)
        if isinstance(outcome, list):
            raise problems.broken_rules(outcome)
        return _json({"id": outcome.id, "login": outcome.username}, HTTPStatus.CREATED)

    @operation(
        "Get an access token, in the body and as a cookie.",
        Caller.ANYBODY,
        {200: AccessToken},
        {401: "invalid_credentials", 429: "rate_limited", 503: "unavailable"},
        body=Credentials,
        example={"login": "ann", "password": "correct horse"},
    )
    async def login(self, request: Request) -> Response:
        """A token, in the body and as a cookie."""
        given = await read_json(request, Credentials)
        match await self._login.attempt(given.login, given.password, self._address(request)):
            case Limited(wait_s):
                raise problems.rate_limited(wait_s)
            case WrongCredentials():
                raise problems.wrong_credentials()
            case Granted(access_token, expires_in_s):
                response = _json({"access_token": access_token, "token_type": "bearer", "expires_in": expires_in_s})
                response.set_cookie(
                    "access_token",
                    access_token,
                    max_age=expires_in_s,
                    path="/",
                    secure=is_https(request, self._trusted),
                    httponly=True,
                    samesite="lax",
                )
                return response

    @operation(
        "Get an access token by form (OAuth2's password grant).",
        Caller.ANYBODY,
        {200: AccessToken},
        {
            400: "invalid_request, invalid_credentials, unsupported_grant_type, invalid_scope",
            401: "invalid_client",
            429: "rate_limited",
            503: "unavailable",
        },
        body=PasswordGrant,
        is_form=True,
        example={"username": "user@example.com", "password": "password123"},
        details="What is refused has OAuth2's `error` and `error_description` too (RFC 6749 §5.2).",
    )
    async def access_token(self, request: Request) -> Response:
        """The same by form. No cookie: any site may make a browser post a form, and so log its user in as another."""
        answer = await self._token_endpoint.answer(await read_form(request), self._address(request))
        if answer.status == HTTPStatus.OK:
            return _json(answer.body)
        code = "invalid_credentials" if answer.body["error"] == "invalid_grant" else answer.body["error"]
        detail = answer.body.get("error_description", "This grant is not supported.")
        raise Problem(HTTPStatus(answer.status), code, detail, **answer.body)

    @operation(
        "Get a guest's token for one room, good for an hour.",
        Caller.GUEST,
        {200: GuestToken},
        {503: "unavailable"},
        body=NewGuest,
        example={"username": "user1", "email": "user1@example.com", "room_id": "room1"},
    )
    async def generate_token(self, request: Request) -> Response:
        """A token for one room, for whoever may let guests in: anyone if ALLOW_GUESTS, else who has a service key."""
        if not (self._is_open_to_guests or self._service_keys.has(request)):
            raise problems.service_key_needed()
        guest = await read_json(request, NewGuest)
        outcome = await self._guests.token(guest.username, guest.email, guest.room_id)
        if isinstance(outcome, list):
            raise problems.broken_rules(outcome)
        return _json({"token": outcome})

    @operation(
        "The public keys that verify our tokens (RFC 7517).",
        Caller.ANYBODY,
        {200: KeySet},
        {503: "unavailable"},
    )
    async def jwks(self, request: Request) -> Response:
        """The public keys; may be cached for a minute, half of what a new key waits before it signs."""
        response = _json(await self._keys.jwks())
        response.headers["Cache-Control"] = "public, max-age=60"
        return response

    def _address(self, request: Request) -> str:
        return client_address(request, self._trusted)


def _json(content: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    headers = {"Cache-Control": "no-store"}  # RFC 6749 §5.1
    return Response(orjson.dumps(content), status.value, headers, media_type="application/json")


async def _answer(endpoint: Endpoint, request: Request) -> Response | Problem:
    try:
        return await endpoint(request)
    except Problem as problem:
        return problem
    except LoginTaken:
        return problems.login_taken()
    except (StorageUnavailable, Overloaded):
        return problems.unavailable()


def _answers_problems(endpoint: Endpoint) -> Endpoint:
    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        outcome = await _answer(endpoint, request)
        return outcome.response() if isinstance(outcome, Problem) else outcome

    return answer


def _answers_oauth2_problems(endpoint: Endpoint) -> Endpoint:
    """OAuth2 clients look for `error` and `error_description` (RFC 6749 §5.2), which stand beside our own members."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        outcome = await _answer(endpoint, request)
        if not isinstance(outcome, Problem):
            return outcome
        later = "retry_after_s" in outcome.members
        outcome.members.setdefault("error", "temporarily_unavailable" if later else "invalid_request")
        outcome.members.setdefault("error_description", outcome.detail)
        return outcome.response()

    return answer
