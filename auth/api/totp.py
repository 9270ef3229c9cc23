"""The second factor over HTTP."""

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Annotated, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from auth.accounts.password_check import Limited, WrongCredentials
from auth.accounts.second_factor import MAX_LENGTH, OtpRequired, WrongOtp
from auth.api import problems
from auth.api.answers import api_route, json_answer
from auth.api.callers import Callers
from auth.api.sessions import DEVICE_COOKIE
from auth.credentials.totp import AlreadyEnabled, FactorRefusal, NotStarted, Totp
from httpapi.body import SMALL_BODY_BYTES, read_json
from httpapi.client_address import Network, client_address
from httpapi.errors import Problem
from httpapi.operation import Audience, operation
from httpapi.token_cookie import cookies_named

Otp = Annotated[str, msgspec.Meta(max_length=MAX_LENGTH)]
"""Six digits of an authenticator, or a recovery code."""


class StartedFactor(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /api/v1/totp`."""

    current_password: str


class ConfirmedFactor(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /api/v1/totp/confirm`."""

    otp: Otp


class RemovedFactor(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `DELETE /api/v1/totp`."""

    current_password: str
    otp: Otp


class FactorSecret(TypedDict):
    """A secret in base32, and the otpauth URL that authenticators read as a QR code."""

    secret: str
    url: str


class RecoveryCodes(TypedDict):
    """Codes that each replace a code of the authenticator once."""

    recovery_codes: list[str]


class TotpRoutes:
    """`/api/v1/totp`."""

    def __init__(self, callers: Callers, totp: Totp, trusted_proxies: Collection[Network]) -> None:
        self._callers = callers
        self._totp = totp
        self._trusted = trusted_proxies

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Implement `RouteGroup.routes`."""
        return [
            api_route("/api/v1/totp", POST=self.start, DELETE=self.remove),
            api_route("/api/v1/totp/confirm", POST=self.confirm),
        ]

    @operation(
        "Start to set up a second factor: returns a secret for an authenticator.",
        Audience.USER,
        {200: FactorSecret},
        {403: "wrong_password, banned, forbidden_origin", 409: "totp_enabled", 429: "rate_limited"},
        body=StartedFactor,
        example={"current_password": "correct horse"},
        details="Logins need no code before `/api/v1/totp/confirm`. A wrong password counts as a failed login.",
    )
    async def start(self, request: Request) -> Response:
        """The secret, which no other response contains."""
        claims = await self._callers.require(request)
        given = await read_json(request, StartedFactor, SMALL_BODY_BYTES)
        outcome = await self._totp.start(
            claims, given.current_password, client_address(request, self._trusted), _device(request)
        )
        if isinstance(outcome, AlreadyEnabled):
            raise problems.totp_enabled()
        if isinstance(outcome, FactorRefusal):
            raise _refusal(outcome)
        content: FactorSecret = {"secret": outcome.secret, "url": outcome.url}
        return json_answer(content)

    @operation(
        "Enable the second factor with a code of the authenticator: returns ten recovery codes.",
        Audience.USER,
        {200: RecoveryCodes},
        {403: "invalid_otp, banned, forbidden_origin", 404: "not_found", 429: "rate_limited"},
        body=ConfirmedFactor,
        example={"otp": "123456"},
        details="From now on logins need `otp`: six digits, or a recovery code, each of which works once.",
    )
    async def confirm(self, request: Request) -> Response:
        """The recovery codes, which no other response contains."""
        claims = await self._callers.require(request)
        given = await read_json(request, ConfirmedFactor, SMALL_BODY_BYTES)
        outcome = await self._totp.confirm(claims, given.otp)
        if isinstance(outcome, FactorRefusal):
            raise _refusal(outcome)
        content: RecoveryCodes = {"recovery_codes": outcome.recovery_codes}
        return json_answer(content)

    @operation(
        "Remove the second factor.",
        Audience.USER,
        {204: None},
        {
            403: "wrong_password, invalid_otp, otp_required, banned, forbidden_origin",
            404: "not_found",
            429: "rate_limited",
        },
        body=RemovedFactor,
        example={"current_password": "correct horse", "otp": "123456"},
        details="Needs the password, and a code or a recovery code. Wrong ones count as failed logins.",
    )
    async def remove(self, request: Request) -> Response:
        """204; 404 if the user has none."""
        claims = await self._callers.require(request)
        given = await read_json(request, RemovedFactor, SMALL_BODY_BYTES)
        outcome = await self._totp.remove(
            claims, given.current_password, given.otp, client_address(request, self._trusted), _device(request)
        )
        if isinstance(outcome, FactorRefusal):
            raise _refusal(outcome)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})


def _device(request: Request) -> str | None:
    return next(iter(cookies_named(request, DEVICE_COOKIE)), None)


def _refusal(outcome: FactorRefusal) -> Problem:
    match outcome:
        case WrongCredentials():
            return problems.wrong_password()
        case Limited(wait_s):
            return problems.too_many_changes(wait_s)
        case WrongOtp():
            return problems.invalid_otp(HTTPStatus.FORBIDDEN)
        case OtpRequired():
            return problems.otp_required(HTTPStatus.FORBIDDEN)
        case NotStarted():
            return problems.no_second_factor()
