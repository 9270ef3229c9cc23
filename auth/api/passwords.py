"""Changing and resetting a password over HTTP."""

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from auth.accounts import rules
from auth.accounts.password_check import Limited, WrongCredentials
from auth.api import problems
from auth.api.answers import api_route
from auth.api.callers import Callers
from auth.api.sessions import DEVICE_COOKIE
from auth.credentials.password_change import PasswordChange
from auth.credentials.password_reset import PasswordReset, UnknownToken
from httpapi.body import SMALL_BODY_BYTES, read_json
from httpapi.client_address import Network, client_address
from httpapi.operation import Audience, operation
from httpapi.token_cookie import cookies_named

_LENGTHS: Final = {"minLength": rules.MIN_PASSWORD, "maxLength": rules.MAX_PASSWORD}
NewPassword = Annotated[str, msgspec.Meta(extra_json_schema=_LENGTHS)]
"""Its rules are for the document only: the code that enforces them reports all broken ones together."""


class ChangedPassword(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /api/v1/password`."""

    current_password: str
    new_password: NewPassword


class RequestedReset(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /api/v1/password/reset`."""

    login: str


class ConfirmedReset(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /api/v1/password/reset/confirm`."""

    token: Annotated[str, msgspec.Meta(max_length=128)]
    new_password: NewPassword


class PasswordRoutes:
    """`/api/v1/password` and below."""

    def __init__(
        self, callers: Callers, change: PasswordChange, reset: PasswordReset, trusted_proxies: Collection[Network]
    ) -> None:
        self._callers = callers
        self._passwords = change
        self._reset = reset
        self._trusted = trusted_proxies

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Implement `RouteGroup.routes`."""
        return [
            api_route("/api/v1/password", POST=self.change),
            api_route("/api/v1/password/reset", POST=self.request_reset),
            api_route("/api/v1/password/reset/confirm", POST=self.confirm_reset),
        ]

    @operation(
        "Change the own password.",
        Audience.USER,
        {204: None},
        {403: "wrong_password, banned, forbidden_origin", 429: "rate_limited"},
        body=ChangedPassword,
        example={"current_password": "correct horse", "new_password": "battery staple"},
        details="Ends all other sessions of the user and revokes their tokens; the session of this request stays. "
        "The rules for the new password are those of `/register`. A wrong current password counts as a failed login.",
    )
    async def change(self, request: Request) -> Response:
        """204; 422 with every broken rule of the new password."""
        claims = await self._callers.require(request)
        given = await read_json(request, ChangedPassword, SMALL_BODY_BYTES)
        device_token = next(iter(cookies_named(request, DEVICE_COOKIE)), None)
        outcome = await self._passwords.change(
            claims, given.current_password, given.new_password, self._address(request), device_token
        )
        if isinstance(outcome, list):
            raise problems.broken_rules(outcome)
        if isinstance(outcome, Limited):
            raise problems.too_many_changes(outcome.wait_s)
        if isinstance(outcome, WrongCredentials):
            raise problems.wrong_password()
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})

    @operation(
        "Ask for a token to reset a password.",
        Audience.ANYBODY,
        {202: None},
        {403: "no_password_reset", 429: "rate_limited", 503: "unavailable"},
        body=RequestedReset,
        example={"login": "ann"},
        details="The operator's hook sends it to the owner of the account. The response is the same, after the same "
        "time, whether or not an account has the login.",
    )
    async def request_reset(self, request: Request) -> Response:
        """202, whatever the login."""
        if not self._reset.is_offered:
            raise problems.no_password_reset()
        given = await read_json(request, RequestedReset, SMALL_BODY_BYTES)
        limited = await self._reset.request(given.login, self._address(request))
        if limited is not None:
            raise problems.too_many_changes(limited.wait_s)
        return Response(status_code=HTTPStatus.ACCEPTED, headers={"Cache-Control": "no-store"})

    @operation(
        "Set a new password with a token to reset it.",
        Audience.ANYBODY,
        {204: None},
        {403: "invalid_reset_token", 429: "rate_limited", 503: "unavailable"},
        body=ConfirmedReset,
        example={"token": "pwr_…", "new_password": "battery staple"},
        details="A token works once, for 30 minutes. All sessions of the user end, and its tokens are revoked. The "
        "rules for the new password are those of `/register`; a password that breaks them does not use up the token.",
    )
    async def confirm_reset(self, request: Request) -> Response:
        """204; 422 with every broken rule of the new password."""
        given = await read_json(request, ConfirmedReset, SMALL_BODY_BYTES)
        outcome = await self._reset.confirm(given.token, given.new_password, self._address(request))
        if isinstance(outcome, list):
            raise problems.broken_rules(outcome)
        if isinstance(outcome, Limited):
            raise problems.too_many_changes(outcome.wait_s)
        if isinstance(outcome, UnknownToken):
            raise problems.unknown_reset_token()
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})

    def _address(self, request: Request) -> str:
        return client_address(request, self._trusted)
