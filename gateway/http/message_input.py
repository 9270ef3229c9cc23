"""The inputs of every call that posts a message: its text and its Idempotency-Key."""

import re
from http import HTTPStatus
from typing import Annotated

from msgspec import Meta
from starlette.requests import Request

from gateway.http.problems import Problem, invalid_field
from gateway.protocol.codes import ErrorCode
from gateway.protocol.message_data import EXPECTED_DATA, data_text
from gateway.protocol.validation import MAX_CLIENT_MSG_ID, check_client_msg_id, check_text
from httpapi.body import invalid_text
from httpapi.operation import Parameter

_KEY = re.compile(r"^[\x21-\x7e][\t\x20-\x7e]*$")
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "the message's id: a request with the same id is a retry of the same message, without a time limit",
    {"type": "string", "minLength": 1, "maxLength": MAX_CLIENT_MSG_ID, "pattern": _KEY.pattern},
    place="header",
)

MessageText = Annotated[object, Meta(extra_json_schema={"type": "string"})]
"""Accepts any type, so that `checked_text` can report the specific error; documented as a string."""

NewMessageText = Annotated[object, Meta(extra_json_schema={"type": ["string", "null"]})]
"""The same; null and a missing text are empty ones, which a message with data may have."""

MessageData = Annotated[object, Meta(extra_json_schema={"type": ["object", "null"], "description": EXPECTED_DATA})]
"""Accepts any type, so that `checked_data` can limit its size; documented as an object."""


def checked_data(data: object) -> str | None:
    """The JSON of a message's data, if there is any.

    Raises: Problem (422).
    """
    if data is None:
        return None
    if (text := data_text(data)) is None:
        raise invalid_field(f"`data` is {EXPECTED_DATA}.", "data")
    return text


def checked_text(text: object, max_length: int, *, may_be_empty: bool = False) -> str:
    """The text, if it is a valid text of at most `max_length` code points.

    Raises: Problem (422).
    """
    match check_text(text, max_length, may_be_empty=may_be_empty):
        case None:
            assert isinstance(text, str)  # noqa: S101 - `check_text` has checked the type
            return text
        case ErrorCode.EMPTY_TEXT as code:
            detail = "The text is empty or missing."
        case ErrorCode.TEXT_TOO_LONG as code:
            detail = f"A text has at most {max_length} characters."
        case _:
            raise invalid_text()
    raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, code, detail)


def idempotency_key(request: Request) -> str | None:
    """The header Idempotency-Key, which becomes the message's client_msg_id; None if it is missing.

    Raises: Problem (422 for an invalid key).
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not (check_client_msg_id(key) and _KEY.fullmatch(key)):
        raise invalid_field(f"Idempotency-Key has 1 to {MAX_CLIENT_MSG_ID} ASCII characters.")
    return key
