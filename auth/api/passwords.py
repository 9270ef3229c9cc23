"""Changing a password over HTTP."""

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


class PasswordRoutes:
    """`/api/v1/password`."""

    def __init__(self, callers: Callers, change: PasswordChange, trusted_proxies: Collection[Network]) -> None:
        self._callers = callers
        self._passwords = change
        self._trusted = trusted_proxies

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Implement `RouteGroup.routes`."""
        return [api_route("/api/v1/password", POST=self.change)]

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
        address = client_address(request, self._trusted)
        outcome = await self._passwords.change(
            claims, given.current_password, given.new_password, address, device_token
        )
        if isinstance(outcome, list):
            raise problems.broken_rules(outcome)
        if isinstance(outcome, Limited):
            raise problems.too_many_changes(outcome.wait_s)
        if isinstance(outcome, WrongCredentials):
            raise problems.wrong_password()
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
