"""What each code means to a client, and what it does about it."""

from collections.abc import Mapping
from typing import Final

from gateway.codes import Close, ErrorCode

CLOSES: Final[Mapping[Close, str]] = {
    Close.DRAIN: 'The node is leaving; the reason is `{"retry_after_ms": n}`. Come back after that long, with `since`.',
    Close.SLOW_CONSUMER: "The client reads too slowly. Come back with `since`, and read faster.",
    Close.POSITION_LOST: "What is to be replayed cannot be read at the moment. Come back with `since`.",
    Close.INTERNAL: "Something does not answer, or is broken, on our side. Come back with `since`.",
    Close.UPSTREAM_LOST: "The server that this channel is proxied to is away. Come back.",
    Close.UNAUTHORIZED: "The token is missing, bad or expired, or there are two. Get a new one first.",
    Close.FORBIDDEN: "Not a member, or no longer, or no such chat, or another room's token.",
    Close.BANNED: "Reserved: nothing closes with it yet.",
    Close.REPLACED: "A newer connection of the user took the place, or an older keeps it (`SECOND_CONNECTION=reject`).",
    Close.ROOM_FULL: "Two others are in the room. Come back when one has left.",
    Close.ABUSE: "200 commands were refused within 60 s. The client has a defect.",
}
"""In addition to what `Close.may_reconnect` says."""

STANDARD_CLOSES: Final[Mapping[int, str]] = {
    1002: "The client broke RFC 6455.",
    1006: "No close came: the connection or the node was lost. Come back with full jitter and `since`.",
    1007: "A text message was no UTF-8.",
    1009: "A message was longer than 64 KiB, or of too many fragments.",
}
"""Codes of RFC 6455 (§7.4.1) that a client may meet too."""

ERRORS: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.INVALID_JSON: "not JSON, not an object, a binary message, or nested too deep",
    ErrorCode.EMPTY_TEXT: "the text is missing, no string, empty, or white space only",
    ErrorCode.TEXT_TOO_LONG: "the text has too many characters (code points)",
    ErrorCode.INVALID_TEXT: "the text has a NUL or a lone surrogate, which cannot be stored",
    ErrorCode.INVALID_FIELD: "a field is of the wrong type or range; `message` names it",
    ErrorCode.UNKNOWN_TYPE: "there is no such command here",
    ErrorCode.RATE_LIMITED: "the user's minute is full; try again in `retry_after_s`",
    ErrorCode.NOT_FOUND: "there is no such message to change",
    ErrorCode.FORBIDDEN: "not a member of the chat, not the message's author, or not for anonymous clients",
    ErrorCode.ID_REUSED: "this `client_msg_id` was used for other content",
    ErrorCode.UNAVAILABLE: "not possible at the moment; try again in `retry_after_s`, with the same `client_msg_id`",
    ErrorCode.UNAUTHORIZED: "in problem documents only: the token is missing, bad or expired",
    ErrorCode.CONFLICT: "a subscription was ended before it began",
    ErrorCode.ROOM_FULL: "in problem documents only: two others are in the room",
    ErrorCode.TOO_MANY_SUBSCRIPTIONS: "the socket has 1,000 subscriptions",
}
"""As the `code` of an error frame, or of the problem document that refuses a handshake."""
