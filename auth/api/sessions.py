"""Renewing and ending logins over HTTP, and the cookies that hold their tokens."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final, Literal, NotRequired, TypedDict, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from auth.accounts.sessions import Banned, Ended, Sessions, Tokens
from auth.api import problems
from auth.api.answers import api_route, json_answer
from auth.api.callers import Callers, may_be_cross_site
from auth.api.client_limits import ClientLimits
from httpapi.audit.facts import note, note_unchanged, note_user
from httpapi.body import SMALL_BODY_BYTES, read_json
from httpapi.errors import forbidden_origin
from httpapi.operation import Audience, operation
from httpapi.site import Site
from httpapi.token_cookie import COOKIE, cookies_named

REFRESH_COOKIE: Final = "chat_gateway_refresh"
DEVICE_COOKIE: Final = "chat_gateway_device"
"""The device token (`auth.accounts.devices`) of a browser; a logout leaves it."""

_TokenBody = TypeVar("_TokenBody", "RefreshBody", "LogoutBody")

Delivery = Literal["cookie", "body"]
"""Where a refresh token is: in an HttpOnly cookie, or in the JSON."""


class AccessToken(TypedDict):
    """A token, good for `expires_in` seconds; with a refresh token if the client asked for one in the body."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: NotRequired[str]


class RefreshBody(msgspec.Struct, forbid_unknown_fields=True):
    """The refresh token; without one, the cookie's is used."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=128)] = ""


class LogoutBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to end: the session of this refresh token, or of the request's; `everywhere` all sessions of the user."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=128)] = ""
    everywhere: bool = False


class Cookies:
    """Sets the cookies of a login."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def answer(self, request: Request, tokens: Tokens, delivery: Delivery | None) -> Response:
        """The response to a login or a renewal, with its cookies."""
        content: AccessToken = {
            "access_token": tokens.access_token,
            "token_type": "bearer",
            "expires_in": tokens.expires_in_s,
        }
        if delivery == "body":
            content["refresh_token"] = tokens.refresh_token
        response = json_answer(content)
        self.set(request, response, COOKIE, tokens.access_token, tokens.expires_in_s)
        if delivery == "cookie":
            self.set(request, response, REFRESH_COOKIE, tokens.refresh_token, tokens.refresh_expires_in_s)
        elif cookies_named(request, REFRESH_COOKIE):
            self.set(request, response, REFRESH_COOKIE, "", 0)  # of an earlier login, maybe of another user
        return response

    def clear(self, request: Request, response: Response) -> None:
        """Delete the cookies of a login."""
        self.set(request, response, COOKIE, "", 0)
        if cookies_named(request, REFRESH_COOKIE):
            self.set(request, response, REFRESH_COOKIE, "", 0)

    def set(self, request: Request, response: Response, name: str, value: str, max_age: int) -> None:
        """Browsers replace a cookie only by one of the same name, path and domain; its flags must allow it, too."""
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            path=self._site.cookie_path,
            secure=self._site.is_https(request),
            httponly=True,
            samesite="strict" if name == REFRESH_COOKIE else "lax",
        )


class SessionRoutes:
    """`/api/v1/login/refresh` and `/api/v1/logout`."""

    def __init__(
        self,
        sessions: Sessions,
        callers: Callers,
        limits: ClientLimits,
        site: Site,
    ) -> None:
        self._sessions = sessions
        self._callers = callers
        self._limits = limits
        self._cookies = Cookies(site)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Implement `RouteGroup.routes`."""
        return [
            api_route("/api/v1/login/refresh", POST=self.refresh),
            api_route("/api/v1/logout", POST=self.logout),
        ]

    @operation(
        "Renew a login: returns a new access token, and replaces the refresh token.",
        Audience.ANYBODY,
        {200: AccessToken},
        {401: "session_ended", 403: "forbidden_origin, banned", 429: "rate_limited", 503: "unavailable"},
        body=RefreshBody,
        body_is_optional=True,
        example={},
        details="The refresh token of the body, else of the cookie. It is used once; repeated within 30 s, it gets the "
        "same successor again. A later use of an earlier token means that it was stolen: the session ends, and its "
        "access tokens are revoked.",
    )
    async def refresh(self, request: Request) -> Response:
        """New tokens, in the place where the refresh token was."""
        if may_be_cross_site(request, REFRESH_COOKIE):
            raise forbidden_origin()
        await self._limits.count(request, "refresh")
        body = await _optional_body(request, RefreshBody)
        given, delivery = _refresh_token(request, body.refresh_token)
        match await self._sessions.refresh(given):
            case Ended():
                raise problems.session_ended()
            case Banned():
                raise problems.banned()
            case Tokens() as tokens:
                return self._cookies.answer(request, tokens, delivery)

    @operation(
        "Log out: end this session, or all of the user's.",
        Audience.ANYBODY,
        {204: None},
        {
            400: "ambiguous_token",
            401: "unauthorized",
            403: "forbidden_origin",
            429: "rate_limited",
            503: "unavailable",
        },
        body=LogoutBody,
        body_is_optional=True,
        example={},
        details="Ends the session of the refresh token or of the access token of the request, revokes its access "
        "tokens, and clears the cookies. Open sockets are closed within 5 s. Without any token the response is the "
        "same, except for `everywhere`, which needs a valid one.",
    )
    async def logout(self, request: Request) -> Response:
        """Ends the session, unless another site's page may be behind the request."""
        if may_be_cross_site(request, COOKIE):
            raise forbidden_origin()
        await self._limits.count(request, "logout")
        body = await _optional_body(request, LogoutBody)
        refresh_token, _ = _refresh_token(request, body.refresh_token)
        claims = await self._callers.find(request)
        if body.everywhere:
            user_id = claims.user_id if claims is not None else await self._sessions.user_of(refresh_token)
            if user_id is None:
                raise problems.not_logged_in()
            note_user(user_id)
            note(user_id=user_id, everywhere=True)
            await self._sessions.end_all(user_id)
        else:
            has_ended = await self._sessions.end(refresh_token)
            if claims is not None:
                note_user(claims.user_id)
                note(user_id=claims.user_id, session=claims.session_id, jti=claims.jti)
                await self._sessions.end_by_access(claims)
            elif not has_ended:
                note_unchanged()
        response = Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
        self._cookies.clear(request, response)
        return response


def _refresh_token(request: Request, given: str) -> tuple[str, Delivery]:
    if given:
        return given, "body"
    return next(iter(cookies_named(request, REFRESH_COOKIE)), ""), "cookie"


async def _optional_body(request: Request, shape: type[_TokenBody]) -> _TokenBody:
    """The JSON body; the shape's defaults if there is none.

    Raises: Problem (as `read_json`).
    """
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return shape()
    return await read_json(request, shape, SMALL_BODY_BYTES)
