"""The form of every HTTP answer that is not success: a problem document (RFC 9457) with a stable `code`."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from starlette.responses import Response

from auth.errors import AuthError


class Problem(AuthError):
    """An answer other than success. `code` is stable, `detail` a sentence for people.

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

    def response(self) -> Response:
        """The document; never cached."""
        document = {
            "title": self.status.phrase,
            "status": self.status.value,
            "code": self.code,
            "detail": self.detail,
            **self.members,
        }
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(orjson.dumps(document), self.status.value, headers, media_type="application/problem+json")
