"""What every call that posts a message reads from it."""

import re
from http import HTTPStatus
from typing import Annotated

from msgspec import Meta
from starlette.requests import Request

from auth.operation import Parameter
from gateway.codes import ErrorCode
from gateway.http.bodies import invalid_text
from gateway.messages import MAX_CLIENT_MSG_ID, check_client_msg_id, check_text
from gateway.problems import Problem, invalid_field

_KEY = re.compile(r"^[\t\x20-\x7e]*[\x21-\x7e][\t\x20-\x7e]*$")
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "the message's id: the same one again is the same message, for ever",
    {"type": "string", "minLength": 1, "maxLength": MAX_CLIENT_MSG_ID, "pattern": _KEY.pattern},
    place="header",
)

Text = Annotated[object, Meta(extra_json_schema={"type": "string"})]
"""Anything, for `checked_text` to say what is wrong with it; documented as the text that it must be."""


def checked_text(text: object, max_length: int) -> str:
    """The text, if it is one of at most `max_length` code points.

    Raises: Problem (422).
    """
    match check_text(text, max_length):
        case None:
            assert isinstance(text, str)  # noqa: S101 - that is what it checks first
            return text
        case ErrorCode.EMPTY_TEXT as code:
            detail = "The text is empty or missing."
        case ErrorCode.TEXT_TOO_LONG as code:
            detail = f"A text has at most {max_length} characters."
        case _:
            raise invalid_text()
    raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, code, detail)


def idempotency_key(request: Request) -> str | None:
    """The message's client_msg_id.

    Raises: Problem (422 for what can be none).
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not (_KEY.fullmatch(key) and check_client_msg_id(key)):
        raise invalid_field(f"Idempotency-Key has 1 to {MAX_CLIENT_MSG_ID} ASCII characters.")
    return key


def id_reused() -> Problem:
    """The id stands for another message already, for ever."""
    return Problem(HTTPStatus.CONFLICT, ErrorCode.ID_REUSED, "This Idempotency-Key was used for other content.")
