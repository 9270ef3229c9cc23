"""Every URL of auth."""

from collections.abc import Sequence
from functools import wraps
from http import HTTPStatus
from typing import Annotated, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.accounts import rules
from auth.accounts.login import Granted, Login
from auth.accounts.password_check import Limited, WrongCredentials
from auth.accounts.registration import Registration
from auth.accounts.second_factor import OtpRequired, WrongOtp
from auth.accounts.sessions import Banned
from auth.api import oauth2, problems
from auth.api.answers import RouteGroup, RouteHandler, answers_problems, json_answer, outcome_of
from auth.api.client_limits import ClientLimits
from auth.api.own_sessions import user_agent
from auth.api.sessions import DEVICE_COOKIE, AccessToken, Cookies, Delivery
from auth.api.totp import Otp
from auth.settings import AuthSettings
from auth.tokens.access_tokens import DEVICE_LIFETIME_S
from auth.tokens.guests import EMAIL_PATTERN, MAX_EMAIL, MAX_ROOM_ID, MAX_USERNAME, Guests
from auth.tokens.key_ring import KeyRing
from httpapi.body import SMALL_BODY_BYTES, read_form, read_json
from httpapi.client_address import client_address
from httpapi.errors import Problem
from httpapi.operation import Audience, Scope, operation
from httpapi.service_keys import ServiceKeys
from httpapi.token_cookie import cookies_named


def _text(**schema: object) -> msgspec.Meta:
    """The rule of a text, for the document only: the code that enforces the rules reports all broken ones together."""
    return msgspec.Meta(extra_json_schema=schema)


Name = Annotated[str, _text(maxLength=rules.MAX_NAME)]


class NewAccount(msgspec.Struct):
    """Body of `POST /register`."""

    login: Annotated[str, _text(pattern=rules.LOGIN_PATTERN)]
    password: Annotated[str, _text(minLength=rules.MIN_PASSWORD, maxLength=rules.MAX_PASSWORD)]
    first_name: Name = ""
    last_name: Name = ""
    invitation: Annotated[str, msgspec.Meta(max_length=128)] = ""


class LoginRequest(msgspec.Struct):
    """Body of `POST /login`; with `refresh` the login can be renewed. `otp` is for users with a second factor."""

    login: str
    password: str
    otp: Otp = ""
    refresh: Delivery | None = None


class NewGuest(msgspec.Struct):
    """Body of `POST /generate-token`."""

    username: Annotated[str, _text(minLength=1, maxLength=MAX_USERNAME)]
    email: Annotated[str, _text(maxLength=MAX_EMAIL, pattern=EMAIL_PATTERN)]
    room_id: Annotated[str, _text(minLength=1, maxLength=MAX_ROOM_ID)]


class PasswordGrant(msgspec.Struct):
    """Form of `POST /api/v1/login/access-token` (RFC 6749 §4.3.2)."""

    username: Annotated[str, _text(example="ann")]  # Swagger UI fills in a form from its fields
    password: Annotated[str, _text(example="correct horse")]
    grant_type: str = "password"
    otp: str = ""


class CreatedAccount(TypedDict):
    """A new account."""

    id: int
    login: str


class GuestToken(TypedDict):
    """A token for one room."""

    token: str


class KeySet(TypedDict):
    """A JWK Set."""

    keys: list[dict[str, str]]


class AuthRoutes:
    """The HTTP endpoints of registration, login, guests and keys."""

    def __init__(
        self,
        registration: Registration,
        login: Login,
        groups: Sequence[RouteGroup],
        token_endpoint: oauth2.TokenEndpoint,
        guests: Guests,
        limits: ClientLimits,
        keys: KeyRing,
        service_keys: ServiceKeys,
        settings: AuthSettings,
    ) -> None:
        self._registration = registration
        self._login = login
        self._groups = groups
        self._token_endpoint = token_endpoint
        self._guests = guests
        self._limits = limits
        self._keys = keys
        self._is_open_to_guests = settings.allow_guests
        self._is_open_to_new_users = settings.registration_is_open
        self._service_keys = service_keys
        self._trusted = settings.trusted_proxies
        self._cookies = Cookies(settings.site)

    def routes(self) -> list[BaseRoute]:
        """The routes; they need no exception handler and no lifespan of the application that serves them."""
        return [
            Route("/register", answers_problems(self.register), methods=["POST"]),
            Route("/login", answers_problems(self.login), methods=["POST"]),
            *(route for group in self._groups for route in group.routes),
            Route(oauth2.PATH, _answers_oauth2_problems(self.access_token), methods=["POST"]),
            Route("/generate-token", answers_problems(self.generate_token), methods=["POST"]),
            Route("/.well-known/jwks.json", answers_problems(self.jwks), methods=["GET"]),
        ]

    @operation(
        "Create an account.",
        Audience.ANYBODY,
        {201: CreatedAccount},
        {403: "registration_closed, invitation_needed", 409: "login_taken", 429: "rate_limited", 503: "unavailable"},
        body=NewAccount,
        examples={
            "ann": {"login": "ann", "password": "correct horse"},
            "bob": {"login": "bob", "password": "correct horse"},
        },
        details="Login: 3 to 64 letters, digits and `._@+-`. Password: 8 to 128 characters; not the login, nor one "
        "of the most used ones of breaches. Names: letters of every script with their joiners, "
        "spaces, symbols and emoji; not blank, no control or invisible characters. Where registration needs one, "
        "it uses up an `invitation`.",
    )
    async def register(self, request: Request) -> Response:
        """201 with the new user; 409 if the login is taken; 422 with every broken rule."""
        if not self._is_open_to_new_users:
            raise problems.registration_closed()
        new = await read_json(request, NewAccount, SMALL_BODY_BYTES)
        outcome = await self._registration.register(
            new.login, new.password, new.first_name, new.last_name, self._address(request), new.invitation
        )
        if isinstance(outcome, list):
            raise problems.broken_rules(outcome)
        if isinstance(outcome, Limited):
            raise problems.too_many_registrations(outcome.wait_s)
        return json_answer({"id": outcome.id, "login": outcome.username}, HTTPStatus.CREATED)

    @operation(
        "Log in: returns an access token and sets it as a cookie.",
        Audience.ANYBODY,
        {200: AccessToken},
        {401: "invalid_credentials, otp_required, invalid_otp", 403: "banned", 429: "rate_limited", 503: "unavailable"},
        body=LoginRequest,
        example={"login": "ann", "password": "correct horse"},
        details="With `refresh` the login can be renewed without the password: `cookie` sets an HttpOnly cookie, "
        "`body` returns a `refresh_token`. See `/api/v1/login/refresh`. Of a user with a second factor, `otp` "
        "is a code of the authenticator or a recovery code.",
    )
    async def login(self, request: Request) -> Response:
        """A token, in the body and as a cookie."""
        given = await read_json(request, LoginRequest, SMALL_BODY_BYTES)
        device_token = next(iter(cookies_named(request, DEVICE_COOKIE)), None)
        outcome = await self._login.attempt(
            given.login,
            given.password,
            self._address(request),
            device_token,
            renewable=given.refresh is not None,
            otp=given.otp,
            user_agent=user_agent(request),
        )
        match outcome:
            case Limited(wait_s):
                raise problems.too_many_failures(wait_s)
            case WrongCredentials():
                raise problems.wrong_credentials()
            case Banned():
                raise problems.banned()
            case OtpRequired():
                raise problems.otp_required()
            case WrongOtp():
                raise problems.invalid_otp()
            case Granted(tokens, device_token):
                response = self._cookies.answer(request, tokens, given.refresh)
                self._cookies.set(request, response, DEVICE_COOKIE, device_token, DEVICE_LIFETIME_S)
                return response

    @operation(
        "Log in with a form (OAuth2 password grant).",
        Audience.ANYBODY,
        {200: AccessToken},
        {
            400: "invalid_request, invalid_credentials, unsupported_grant_type, invalid_scope",
            401: "invalid_client, otp_required, invalid_otp",
            429: "rate_limited",
            503: "unavailable",
        },
        body=PasswordGrant,
        is_form=True,
        example={"username": "ann", "password": "correct horse"},
        details="Errors have OAuth2's `error` and `error_description` too (RFC 6749 §5.2).",
    )
    async def access_token(self, request: Request) -> Response:
        """A login by form. It sets no cookie: any site can make a browser post a form, as another user than its own."""
        answer = await self._token_endpoint.answer(await read_form(request), self._address(request))
        if answer.status == HTTPStatus.OK:
            return json_answer(answer.body)
        code = "invalid_credentials" if answer.body["error"] == "invalid_grant" else answer.body["error"]
        detail = answer.body.get("error_description", "This grant is not supported.")
        raise Problem(HTTPStatus(answer.status), code, detail, **answer.body)

    @operation(
        "Create a guest token for one room; it is valid for one hour.",
        Audience.GUEST,
        {200: GuestToken},
        {429: "rate_limited", 503: "unavailable"},
        body=NewGuest,
        example={"username": "user1", "email": "user1@example.com", "room_id": "room1"},
        scope=Scope.USERS,
    )
    async def generate_token(self, request: Request) -> Response:
        """A guest's token for one room. Any caller may ask for one if ALLOW_GUESTS, else it takes a service key."""
        if not self._is_open_to_guests:
            self._service_keys.require(request, self.generate_token)
        elif self._service_keys.find(request) is None:
            await self._limits.count(request, "guest_token")
        guest = await read_json(request, NewGuest, SMALL_BODY_BYTES)
        outcome = await self._guests.token(guest.username, guest.email, guest.room_id)
        if isinstance(outcome, list):
            raise problems.broken_rules(outcome)
        return json_answer({"token": outcome})

    @operation(
        "List the public keys that verify access tokens (JWK Set, RFC 7517).",
        Audience.ANYBODY,
        {200: KeySet},
        {503: "unavailable"},
    )
    async def jwks(self, request: Request) -> Response:
        """The public keys. They may be cached for a minute: a new key is public for two before it signs."""
        response = json_answer(await self._keys.jwks())
        response.headers["Cache-Control"] = "public, max-age=60"
        return response

    def _address(self, request: Request) -> str:
        return client_address(request, self._trusted)


def _answers_oauth2_problems(endpoint: RouteHandler) -> RouteHandler:
    """Adds `error` and `error_description`, which OAuth2 clients expect (RFC 6749 §5.2), to our own members."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        outcome = await outcome_of(endpoint, request)
        if not isinstance(outcome, Problem):
            return outcome
        later = "retry_after_s" in outcome.members
        outcome.members.setdefault("error", "temporarily_unavailable" if later else "invalid_request")
        outcome.members.setdefault("error_description", outcome.detail)
        return outcome.response()

    return answer
