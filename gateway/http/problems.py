"""HTTP error responses: problem documents (RFC 9457) with a stable `code`; never a traceback."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import AddingForbidden, QueueUnavailable, RedisUnavailable, TooManyStrangers
from gateway.protocol.codes import ErrorCode
from gateway.protocol.refusals import UNAVAILABLE, refusal_reply
from httpapi.errors import BrokenRule, TooManyAtOnce, retry_later
from httpapi.errors import Problem as Problem
from storage.errors import (
    Barred,
    InvalidMembers,
    KeyTaken,
    NoSuchChat,
    NotAllowed,
    QuotaExceeded,
    StaffOnly,
    StorageUnavailable,
    TooManyBlocks,
)
from storage.records import Quota, Refusal, SlowMode

logger = logging.getLogger("gateway.http")

ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]


def not_found() -> Problem:
    """404: the resource does not exist, or the caller may not see it; the response does not distinguish the two."""
    return Problem(HTTPStatus.NOT_FOUND, ErrorCode.NOT_FOUND, "There is no such thing, or you may not see it.")


def forbidden(detail: str) -> Problem:
    """403: the caller may see the resource, but may not do this."""
    return Problem(HTTPStatus.FORBIDDEN, ErrorCode.FORBIDDEN, detail)


def banned(detail: str) -> Problem:
    """403: the user is banned."""
    return Problem(HTTPStatus.FORBIDDEN, ErrorCode.BANNED, f"{detail[:1].upper()}{detail[1:]}.")


def unauthorized(detail: str) -> Problem:
    """401: the token is missing, invalid or expired; `detail` must not contain any part of it."""
    headers = {"WWW-Authenticate": "Bearer"}
    return Problem(HTTPStatus.UNAUTHORIZED, ErrorCode.UNAUTHORIZED, detail, headers=headers)


def invalid_field(detail: str, field: str | None = None) -> Problem:
    """422: a value has the wrong type or range; `detail` says which one.

    `field` names the body's field for programs, in `errors`; the sentence may then be shown to people as it is.
    """
    status, code = HTTPStatus.UNPROCESSABLE_ENTITY, ErrorCode.INVALID_FIELD
    if field is None:
        return Problem(status, code, detail)
    return Problem(status, code, detail, errors=[asdict(BrokenRule(field, code, detail))])


def beyond_64_bits(whose: str) -> Problem:
    """422: the body's `data`, of `whose` ("a chat"), has an integer that JSON of 64-bit numbers cannot hold."""
    return invalid_field(f"The data of {whose} has an integer beyond 64 bits.", "data")


def unavailable(retry_after_s: float = 1) -> Problem:
    """503: a dependency does not respond; the caller may retry."""
    detail = "Temporarily unavailable, please try again."
    return retry_later(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.UNAVAILABLE, detail, retry_after_s)


_STATUSES: Final = {
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.ID_REUSED: HTTPStatus.CONFLICT,
    ErrorCode.EDIT_LIMIT: HTTPStatus.CONFLICT,
    ErrorCode.MUTED: HTTPStatus.FORBIDDEN,
    ErrorCode.CHAT_FROZEN: HTTPStatus.FORBIDDEN,
    ErrorCode.REACTION_LIMIT: HTTPStatus.CONFLICT,
    ErrorCode.INVALID_FIELD: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def refused(refusal: Refusal | SlowMode) -> Problem:
    """The response to an event that the log does not take."""
    error = refusal_reply(refusal)
    if isinstance(refusal, SlowMode):
        return retry_later(HTTPStatus.TOO_MANY_REQUESTS, error.code, f"{error.message}.", refusal.retry_after_s)
    if error is UNAVAILABLE:
        return unavailable()
    return Problem(_STATUSES[error.code], error.code, f"{error.message}.")


def rate_limited(retry_after_s: float) -> Problem:
    """429: the caller has reached the limit per minute."""
    detail = "Too many messages, please wait."
    return retry_later(HTTPStatus.TOO_MANY_REQUESTS, ErrorCode.RATE_LIMITED, detail, retry_after_s)


def too_many_commands(retry_after_s: float) -> Problem:
    """429: the caller has used up the bucket of commands of this kind."""
    detail = "Too many requests of this kind, please wait."
    return retry_later(HTTPStatus.TOO_MANY_REQUESTS, ErrorCode.RATE_LIMITED, detail, retry_after_s)


def too_many_strangers(retry_after_s: float) -> Problem:
    """429: the caller has named too many users whom they do not know."""
    detail = "You have named too many users who are not your contacts, please wait."
    return retry_later(HTTPStatus.TOO_MANY_REQUESTS, ErrorCode.RATE_LIMITED, detail, retry_after_s)


def too_many_at_once() -> Problem:
    """429: the caller has too many requests under way."""
    detail = "Too many requests at once, please wait for their responses."
    return retry_later(HTTPStatus.TOO_MANY_REQUESTS, ErrorCode.RATE_LIMITED, detail, 1)


def upgrade_required() -> Problem:
    """426: a plain request to a WebSocket URL, such as a handshake without the two headers that a proxy dropped."""
    return Problem(
        HTTPStatus.UPGRADE_REQUIRED,
        "upgrade_required",
        "This URL is a WebSocket, and the request arrived without `Connection: Upgrade` and `Upgrade: websocket`. "
        "A proxy in between may drop them: nginx needs `proxy_http_version 1.1`, "
        "`proxy_set_header Upgrade $http_upgrade` and `proxy_set_header Connection upgrade`.",
        headers={"Upgrade": "websocket", "Connection": "Upgrade"},
    )


def unknown_host() -> Problem:
    """421: the Host header names none of our hosts, so that no URL with a ticket may be made from it."""
    return Problem(
        HTTPStatus.MISDIRECTED_REQUEST,
        "unknown_host",
        "This host is not one of the gateway's own. Its operator can add it to PUBLIC_URL or ALLOWED_ORIGINS.",
    )


def internal() -> Problem:
    """500: a defect of ours. Only the log has the traceback."""
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.")


def conflict(error: InvalidMembers) -> Problem:
    """409: the kind of the chat does not allow this change."""
    return Problem(HTTPStatus.CONFLICT, ErrorCode.CONFLICT, sentence(error))


QUOTA_EXCEEDED: Final = "quota_exceeded"
_QUOTAS: Final = {
    Quota.CHATS: "You have created {most} chats, the most that a user may create.",
    Quota.MEMBERS: "A chat has at most {most} members.",
}


def quota_exceeded(error: QuotaExceeded) -> Problem:
    """409: no more of this may be stored; waiting does not help."""
    detail = _QUOTAS[Quota(error.quota)].format(most=error.most)
    return Problem(HTTPStatus.CONFLICT, QUOTA_EXCEEDED, detail)


def key_taken() -> Problem:
    """409: the key belongs to a chat that the caller may not see, or the chat has another key."""
    return Problem(HTTPStatus.CONFLICT, "key_taken", "Another chat has this key, or this chat another key.")


def sentence(error: InvalidMembers) -> str:
    """The reason as a sentence for people; names in it keep their letter case."""
    return f"{error.reason[:1].upper()}{error.reason[1:]}."


_LOGGED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
"""The rejections that concern the operator; others concern only the caller and are not logged."""


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for nothing else
    if error.status in _LOGGED:
        logger.info("refused", extra={"fields": {"code": error.code, "status": error.status.value}})
    return error.response()


def _of_http_exception(error: HTTPException) -> Problem:
    """Problem documents for Starlette's own 404 (no such URL) and 405 (no such method)."""
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    return Problem(status, code, f"{status.phrase}.", headers=error.headers)


PROBLEMS: Final[Mapping[type[Exception], Callable[[Any], Problem]]] = {
    HTTPException: _of_http_exception,
    NoSuchChat: lambda _: not_found(),
    StaffOnly: lambda _: forbidden("Only staff and services may give this role or create this kind of chat."),
    Barred: lambda _: forbidden("You were removed from this chat and may not join it again."),
    AddingForbidden: lambda _: forbidden("Only services may add users to chats here."),
    TooManyStrangers: lambda error: too_many_strangers(error.retry_after_s),
    TooManyBlocks: lambda _: Problem(HTTPStatus.CONFLICT, ErrorCode.CONFLICT, "Your list of blocked users is full."),
    QuotaExceeded: quota_exceeded,
    KeyTaken: lambda _: key_taken(),
    NotAllowed: lambda _: forbidden("Only the chat's owner may do this."),
    InvalidMembers: conflict,
    StorageUnavailable: lambda _: unavailable(),
    TooManyAtOnce: lambda _: too_many_at_once(),
    RedisUnavailable: lambda _: unavailable(),
    QueueUnavailable: lambda _: unavailable(),
    Exception: lambda _: internal(),
}
"""The response to each exception; an endpoint catches only those to which its own response differs."""


def expected(error: Exception) -> Problem | None:
    """The response to an exception that is not a defect of ours; None for others."""
    if isinstance(error, Problem):
        return error
    type_ = next(each for each in type(error).__mro__ if each in PROBLEMS)
    return None if type_ is Exception else PROBLEMS[type_](error)


def _handler(problem_of: Callable[[Any], Problem]) -> ExceptionHandler:
    async def handle(request: Request, error: Exception) -> Response:
        return await _on_problem(request, problem_of(error))

    return handle


HANDLERS: Final[Mapping[Any, ExceptionHandler]] = {
    Problem: _on_problem,
    **{error: _handler(problem_of) for error, problem_of in PROBLEMS.items()},
}
"""Starlette's exception handlers: every error response of the application is a problem document."""
