"""What every call that posts a message reads from it."""

from http import HTTPStatus

from starlette.requests import Request

from gateway.codes import ErrorCode
from gateway.http.bodies import invalid_text
from gateway.messages import MAX_CLIENT_MSG_ID, check_client_msg_id, check_text
from gateway.problems import Problem, invalid_field


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
    if key is not None and not (key.isascii() and check_client_msg_id(key)):
        raise invalid_field(f"Idempotency-Key has 1 to {MAX_CLIENT_MSG_ID} ASCII characters.")
    return key


def id_reused() -> Problem:
    """The id stands for another message already, for ever."""
    return Problem(HTTPStatus.CONFLICT, ErrorCode.ID_REUSED, "This Idempotency-Key was used for other content.")
