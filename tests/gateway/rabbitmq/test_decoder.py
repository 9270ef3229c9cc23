"""Decoding of bodies from the queue."""

import pytest

from gateway.interfaces.rooms import RoomMessage
from gateway.protocol.validation import check_client_msg_id, may_be_retry
from gateway.rabbitmq.decoder import MAX_BODY_BYTES, DeadLetterReason, read_message

MAX_TEXT = 10


def read(body: bytes, message_id: str | None = None) -> RoomMessage | DeadLetterReason:
    return read_message(body, message_id, MAX_TEXT)


def id_of(body: bytes, message_id: str | None = None) -> str:
    message = read(body, message_id)
    assert isinstance(message, RoomMessage)
    assert check_client_msg_id(message.client_msg_id)
    return message.client_msg_id


def test_seed_json_is_a_message() -> None:
    body = b'{"room_id": "room1", "content": "Hello", "anything": {"else": 1}}'
    assert read(body, "m-1") == RoomMessage("room1", "Hello", "m-1")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", DeadLetterReason.INVALID_JSON),
        (b"hello", DeadLetterReason.INVALID_JSON),
        (b"\xff\xfe", DeadLetterReason.INVALID_JSON),
        (b"[]", DeadLetterReason.INVALID_JSON),
        (b'"text"', DeadLetterReason.INVALID_JSON),
        (b'{"room_id": "r", "content": NaN}', DeadLetterReason.INVALID_JSON),
        (b"[" * 30_000, DeadLetterReason.INVALID_JSON),
        (b"{}", DeadLetterReason.INVALID_ROOM),
        (b'{"room_id": 1, "content": "x"}', DeadLetterReason.INVALID_ROOM),
        (b'{"room_id": "", "content": "x"}', DeadLetterReason.INVALID_ROOM),
        (b'{"room_id": "' + b"r" * 256 + b'", "content": "x"}', DeadLetterReason.INVALID_ROOM),
        (b'{"room_id": "r"}', DeadLetterReason.EMPTY_TEXT),
        (b'{"room_id": "r", "content": 7}', DeadLetterReason.EMPTY_TEXT),
        (b'{"room_id": "r", "content": " "}', DeadLetterReason.EMPTY_TEXT),
        (b'{"room_id": "r", "content": "\\u200b\\ufeff"}', DeadLetterReason.EMPTY_TEXT),
        (b'{"room_id": "r", "content": "12345678901"}', DeadLetterReason.TEXT_TOO_LONG),
        (b'{"room_id": "r", "content": "\\u0000"}', DeadLetterReason.INVALID_TEXT),
        (b'{"room_id": "r", "content": "\\ud800"}', DeadLetterReason.INVALID_TEXT),
        (b'{"room_id": "r", "content": "x", "client_msg_id": 7}', DeadLetterReason.INVALID_ID),
        (b'{"room_id": "r", "content": "x", "client_msg_id": ""}', DeadLetterReason.INVALID_ID),
        (b" " * (MAX_BODY_BYTES + 1), DeadLetterReason.TOO_LARGE),
    ],
)
def test_invalid_body_has_its_dead_letter_reason(body: bytes, reason: DeadLetterReason) -> None:
    assert read(body) is reason


def test_client_msg_id_overrides_amqp_message_id() -> None:
    body = b'{"room_id": "r", "content": "x", "client_msg_id": "c-1"}'
    assert id_of(body, "m-1") == "c-1"
    assert id_of(b'{"room_id": "r", "content": "x", "client_msg_id": null}', "m-1") == "m-1"


def test_unstorable_id_maps_to_one_storable_id() -> None:
    body = b'{"room_id": "r", "content": "x"}'
    assert id_of(body, "m" * 64) == "m" * 64
    forms = [id_of(body, name) for name in ("m" * 65, "m" * 66, "m\0", "m" * 65)]
    assert forms[0] == forms[3]
    assert len(set(forms)) == 3


@pytest.mark.parametrize("message_id", [None, ""])
def test_delivery_without_id_is_a_new_message(message_id: str | None) -> None:
    body = b'{"room_id": "r", "content": "x"}'
    assert id_of(body, message_id) != id_of(body, message_id)
    assert not may_be_retry(id_of(body, message_id))
