"""What a body from the queue means."""

import pytest

from gateway.ingest.inbound import MAX_BODY_BYTES, Reason, read_message
from gateway.messages import check_client_msg_id, may_be_retry
from gateway.rooms import RoomMessage

MAX_TEXT = 10


def read(body: bytes, message_id: str | None = None) -> RoomMessage | Reason:
    return read_message(body, message_id, MAX_TEXT)


def id_of(body: bytes, message_id: str | None = None) -> str:
    message = read(body, message_id)
    assert isinstance(message, RoomMessage)
    assert check_client_msg_id(message.client_msg_id)
    return message.client_msg_id


def test_the_seeds_json_is_a_message() -> None:
    body = b'{"room_id": "room1", "content": "Hello", "anything": {"else": 1}}'
    assert read(body, "m-1") == RoomMessage("room1", "Hello", "m-1")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.INVALID_JSON),
        (b"hello", Reason.INVALID_JSON),
        (b"\xff\xfe", Reason.INVALID_JSON),
        (b"[]", Reason.INVALID_JSON),
        (b'"text"', Reason.INVALID_JSON),
        (b'{"room_id": "r", "content": NaN}', Reason.INVALID_JSON),
        (b"[" * 30_000, Reason.INVALID_JSON),
        (b"{}", Reason.INVALID_ROOM),
        (b'{"room_id": 1, "content": "x"}', Reason.INVALID_ROOM),
        (b'{"room_id": "", "content": "x"}', Reason.INVALID_ROOM),
        (b'{"room_id": "' + b"r" * 256 + b'", "content": "x"}', Reason.INVALID_ROOM),
        (b'{"room_id": "r"}', Reason.EMPTY_TEXT),
        (b'{"room_id": "r", "content": 7}', Reason.EMPTY_TEXT),
        (b'{"room_id": "r", "content": " "}', Reason.EMPTY_TEXT),
        (b'{"room_id": "r", "content": "12345678901"}', Reason.TEXT_TOO_LONG),
        (b'{"room_id": "r", "content": "\\u0000"}', Reason.INVALID_TEXT),
        (b'{"room_id": "r", "content": "\\ud800"}', Reason.INVALID_TEXT),
        (b'{"room_id": "r", "content": "x", "client_msg_id": 7}', Reason.INVALID_ID),
        (b'{"room_id": "r", "content": "x", "client_msg_id": ""}', Reason.INVALID_ID),
        (b" " * (MAX_BODY_BYTES + 1), Reason.TOO_LARGE),
    ],
)
def test_everything_else_has_its_reason(body: bytes, reason: Reason) -> None:
    assert read(body) is reason


def test_the_applications_own_id_comes_before_that_of_its_library() -> None:
    body = b'{"room_id": "r", "content": "x", "client_msg_id": "c-1"}'
    assert id_of(body, "m-1") == "c-1"
    assert id_of(b'{"room_id": "r", "content": "x", "client_msg_id": null}', "m-1") == "m-1"


def test_an_id_that_cannot_be_stored_has_one_form_that_can() -> None:
    body = b'{"room_id": "r", "content": "x"}'
    assert id_of(body, "m" * 64) == "m" * 64
    forms = [id_of(body, name) for name in ("m" * 65, "m" * 66, "m\0", "m" * 65)]
    assert forms[0] == forms[3]
    assert len(set(forms)) == 3


@pytest.mark.parametrize("message_id", [None, ""])
def test_without_an_id_each_delivery_is_another_message(message_id: str | None) -> None:
    body = b'{"room_id": "r", "content": "x"}'
    assert id_of(body, message_id) != id_of(body, message_id)
    assert not may_be_retry(id_of(body, message_id))
