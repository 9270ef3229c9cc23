"""Everything that httpapi raises.

HttpApiError
├── Problem              an error response: a problem document (RFC 9457) with a stable `code`
├── InvalidJson          not JSON, or not JSON that the one reader accepts
│   └── TooDeep
├── InvalidServiceKey    an entry of SERVICE_KEYS that is not `key` or `name:key[:scope+scope]`
├── PostFailed           a signed POST got no 2xx in time; the text contains neither URL nor secret
├── TooManyAtOnce        one caller, or all together, have too many requests under way
└── UndocumentedRoute    a route whose endpoint does not say what it takes and answers
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson
from starlette.responses import Response

FORBIDDEN_ORIGIN: Final = "forbidden_origin"


class HttpApiError(Exception):
    """Base class of this package's exceptions."""


class PostFailed(HttpApiError):
    """A signed POST got no 2xx in time; the text is short and contains neither the URL nor a secret."""


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A validation error of one field: a stable code, and a sentence for the user."""

    field: str
    code: str
    detail: str


class Problem(HttpApiError):
    """An error response. `code` is stable, `detail` a sentence for people.

    `members` stand in the document beside `title`, `status`, `code` and `detail`.
    """

    def __init__(
        self, status: HTTPStatus, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members

    def document(self) -> dict[str, object]:
        """What the response says."""
        return {
            "title": self.status.phrase,
            "status": self.status.value,
            "code": self.code,
            "detail": self.detail,
            **self.members,
        }

    def response(self) -> Response:
        """The document; never cached."""
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(
            orjson.dumps(self.document()), self.status.value, headers, media_type="application/problem+json"
        )


def forbidden_origin() -> Problem:
    """403 for a page whose origin is not allowed: it learns nothing, and a socket is rejected before accept."""
    return Problem(HTTPStatus.FORBIDDEN, FORBIDDEN_ORIGIN, "Pages of this origin may not call.")


def whole_seconds(wait_s: float) -> int:
    """A wait as responses state it: rounded up, so that a retry after it is not rejected."""
    return max(1, math.ceil(wait_s))


def retry_later(status: HTTPStatus, code: str, detail: str, wait_s: float) -> Problem:
    """A rejection that ends: the caller may retry in `wait_s`."""
    seconds = whole_seconds(wait_s)
    return Problem(status, code, detail, headers={"Retry-After": str(seconds)}, retry_after_s=seconds)


class InvalidJson(HttpApiError, ValueError):
    """The text is not JSON, or not JSON that this reader accepts."""


class TooDeep(InvalidJson):
    """JSON, as far as it was read, that is nested too deeply."""


class TooManyAtOnce(HttpApiError):
    """One caller, or all together, have too many requests under way; it may try again in a second or so."""


class InvalidServiceKey(HttpApiError, ValueError):
    """An entry of SERVICE_KEYS is invalid; the exception contains nothing of it."""


class UndocumentedRoute(HttpApiError):
    """A route whose endpoint does not say what it takes and answers."""
