"""HTTP answers other than success: problem documents (RFC 9457) with a stable `code`; never a traceback."""

import logging
import math
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from auth.problem import Problem as Problem
from gateway.codes import ErrorCode
from gateway.errors import QueueUnavailable, RedisUnavailable
from storage.errors import StorageUnavailable

logger = logging.getLogger("gateway.http")


def not_found() -> Problem:
    """Nothing there, or nothing that the caller may see: the two are not told apart."""
    return Problem(HTTPStatus.NOT_FOUND, ErrorCode.NOT_FOUND, "There is no such thing, or you may not see it.")


def forbidden(detail: str) -> Problem:
    """The caller sees the thing, but may not do this to it."""
    return Problem(HTTPStatus.FORBIDDEN, ErrorCode.FORBIDDEN, detail)


def unauthorized(detail: str) -> Problem:
    """A token is missing, bad or expired; `detail` holds no part of it."""
    headers = {"WWW-Authenticate": "Bearer"}
    return Problem(HTTPStatus.UNAUTHORIZED, ErrorCode.UNAUTHORIZED, detail, headers=headers)


def invalid_field(detail: str) -> Problem:
    """A value of the wrong type or range; `detail` says which."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, ErrorCode.INVALID_FIELD, detail)


def unavailable(retry_after_s: float = 1) -> Problem:
    """Something that we need does not answer; the call may be tried again."""
    seconds = max(1, math.ceil(retry_after_s))
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        ErrorCode.UNAVAILABLE,
        "Temporarily unavailable, please try again.",
        headers={"Retry-After": str(seconds)},
        retry_after_s=seconds,
    )


def rate_limited(retry_after_s: float) -> Problem:
    """The caller's minute is full."""
    seconds = max(1, math.ceil(retry_after_s))
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        ErrorCode.RATE_LIMITED,
        "Too many messages, please wait.",
        headers={"Retry-After": str(seconds)},
        retry_after_s=seconds,
    )


def internal() -> Problem:
    """A bug of ours: the log has the traceback, the client learns nothing of it."""
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.")


_LOGGED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals that whoever runs this wants to see; the others are the caller's own business."""


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for nothing else
    if error.status in _LOGGED:
        logger.info("refused", extra={"fields": {"code": error.code, "status": error.status.value}})
    return error.response()


async def _on_http_exception(_: Request, error: Exception) -> Response:
    """No such URL (404) or method (405)."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    return Problem(status, code, f"{status.phrase}.", headers=error.headers).response()


async def _on_outage(_: Request, __: Exception) -> Response:
    return unavailable().response()


async def _on_surprise(_: Request, __: Exception) -> Response:
    return internal().response()


HANDLERS = {
    Problem: _on_problem,
    HTTPException: _on_http_exception,
    StorageUnavailable: _on_outage,
    RedisUnavailable: _on_outage,
    QueueUnavailable: _on_outage,
    Exception: _on_surprise,
}
"""For Starlette: every failure of the whole application is a problem document."""
