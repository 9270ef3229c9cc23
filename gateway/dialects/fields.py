"""Reading a JSON object's fields strictly; shared by the dialects."""

import json
from typing import Any, TypeGuard

import orjson

from gateway.codes import ErrorCode
from gateway.messages import MAX_ID, ErrorReply

INVALID_JSON = ErrorReply(ErrorCode.INVALID_JSON, "Invalid JSON format")
INVALID_TEXT = ErrorReply(ErrorCode.INVALID_TEXT, "Message text contains characters that cannot be stored")


def read_object(payload: bytes) -> dict[str, Any] | ErrorReply:
    """The JSON object in `payload`, or the error that it deserves; never raises."""
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return INVALID_TEXT if has_lone_surrogate(payload) else INVALID_JSON
    return value if isinstance(value, dict) else INVALID_JSON


def has_lone_surrogate(payload: bytes) -> bool:
    """Whether `payload` is JSON but for an escaped lone surrogate, which orjson refuses to read and json accepts."""
    if b"\\ud" not in payload and b"\\uD" not in payload:
        return False
    try:
        value = json.loads(payload, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return isinstance(value, dict)
    except (ValueError, RecursionError):
        return False
    return False


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def is_id(value: object) -> TypeGuard[int]:
    """Whether `value` may be the id of something stored: a positive integer that fits a BIGINT."""
    return type(value) is int and 0 < value <= MAX_ID


def is_seq(value: object) -> TypeGuard[int]:
    """Whether `value` may be a seq, 0 (before the first) included."""
    return type(value) is int and 0 <= value <= MAX_ID


def invalid_field(name: str, expected: str) -> ErrorReply:
    """The error for a field of the wrong type or range."""
    return ErrorReply(ErrorCode.INVALID_FIELD, f"Invalid field {name}: expected {expected}")
