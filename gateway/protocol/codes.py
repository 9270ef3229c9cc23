"""Every close code and every error code that a client can receive.

After 4000–4399 a client should reconnect with full jitter; after 4400–4999 it should not until something has changed.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Close(IntEnum):
    """Our WebSocket close codes (RFC 6455 §7.4.2 leaves 4000–4999 to applications)."""

    DRAIN = 4000  # reason: {"retry_after_ms": n}
    SLOW_CONSUMER = 4001
    POSITION_LOST = 4002  # reconnect with `since`
    INTERNAL = 4003
    UPSTREAM_LOST = 4004  # the server that this channel is proxied to is down or closed the connection
    UNAUTHORIZED = 4401  # token missing, invalid or expired: get a new one first
    FORBIDDEN = 4403  # not a member, or the chat does not exist
    BANNED = 4408
    REPLACED = 4409  # a newer connection of the same user took the seat
    ROOM_FULL = 4410
    QUOTA_EXCEEDED = 4413  # nothing more can be stored: reconnect to begin another transcript, or an hour later
    ABUSE = 4429

    @property
    def may_reconnect(self) -> bool:
        """Whether a client should reconnect automatically."""
        return self < 4400


class ErrorCode(StrEnum):
    """The stable `code` of an error frame or a problem document."""

    INVALID_JSON = "invalid_json"
    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    INVALID_TEXT = "invalid_text"
    INVALID_FIELD = "invalid_field"
    UNKNOWN_TYPE = "unknown_type"
    RATE_LIMITED = "rate_limited"
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    BANNED = "banned"
    MUTED = "muted"
    CHAT_FROZEN = "chat_frozen"
    SLOW_MODE = "slow_mode"
    EDIT_LIMIT = "edit_limit"
    REACTION_LIMIT = "reaction_limit"
    ID_REUSED = "id_reused"
    UNAVAILABLE = "unavailable"
    UNAUTHORIZED = "unauthorized"
    CONFLICT = "conflict"
    ROOM_FULL = "room_full"
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions"


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A decision to close the socket; a value and not an exception, because it is an expected outcome."""

    code: Close
    reason: str = ""
