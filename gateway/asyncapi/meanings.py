"""The meaning of each close code and error code for clients, and how to react."""

from collections.abc import Mapping
from typing import Final

from gateway.protocol.codes import Close, ErrorCode

CLOSES: Final[Mapping[Close, str]] = {
    Close.DRAIN: 'The node shuts down, or a service asks for it; the reason is `{"retry_after_ms": n}`. Reconnect '
    "after that time with `since`.",
    Close.SLOW_CONSUMER: "The client reads too slowly. Reconnect with `since`, and read faster.",
    Close.POSITION_LOST: "The events to replay cannot be read at the moment. Reconnect with `since`.",
    Close.INTERNAL: "A fault or an outage on our side. Reconnect with `since`.",
    Close.UPSTREAM_LOST: "The server to which this channel is proxied is not available. Reconnect.",
    Close.UNAUTHORIZED: "The token is missing, invalid, expired or revoked, or there are two. Get a new one first.",
    Close.FORBIDDEN: "Not a member, or no longer one; no such chat; a token for another room; or a service closed the "
    "socket.",
    Close.BANNED: "The user is banned; the reason says until when.",
    Close.REPLACED: "A newer connection of the user replaced this one, or an older one is kept "
    "(`SECOND_CONNECTION=reject`).",
    Close.ROOM_FULL: "Two other users are in the room. Reconnect when one has left.",
    Close.QUOTA_EXCEEDED: "The transcript of this session, or those of the user or address in this hour, are full. "
    "The last message was not stored. A new session begins a new transcript.",
    Close.ABUSE: (
        "200 commands were rejected within 60 s, or the client exceeded its rate for 10 s (500 frames a second "
        "beyond the first 1,000; each 2 KiB of JSON, or 32 KiB of an echo, count as another frame). "
        "The client has a defect."
    ),
}
"""The texts leave out whether a client may reconnect, which `Close.may_reconnect` defines."""

STANDARD_CLOSES: Final[Mapping[int, str]] = {
    1002: "The client violated RFC 6455.",
    1006: "No close frame was received: the connection or the node was lost. Reconnect with full jitter and `since`.",
    1007: "A text message was not valid UTF-8.",
    1009: "A message was longer than 64 KiB, or had too many fragments.",
}
"""Codes of RFC 6455 (§7.4.1) that a client may get too."""

ERRORS: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.INVALID_JSON: "not JSON, not an object, a binary message, or nested too deeply",
    ErrorCode.EMPTY_TEXT: "the text is missing, not a string, empty, or white space only",
    ErrorCode.TEXT_TOO_LONG: "the text has too many characters (code points)",
    ErrorCode.INVALID_TEXT: "the text has a NUL or a lone surrogate, which cannot be stored",
    ErrorCode.INVALID_FIELD: "a field has the wrong type or range, or is unknown; `message` names it",
    ErrorCode.UNKNOWN_TYPE: "this URL has no such command",
    ErrorCode.RATE_LIMITED: "the user has reached the limit per minute; retry after `retry_after_s`",
    ErrorCode.NOT_FOUND: "the message to edit, delete or react to does not exist",
    ErrorCode.FORBIDDEN: "not a member of the chat, not the message's author, or not for anonymous clients",
    ErrorCode.BANNED: "in problem documents only: the user is banned",
    ErrorCode.MUTED: "the user is muted in this chat",
    ErrorCode.CHAT_FROZEN: "only the owner, moderators and services write in this chat",
    ErrorCode.SLOW_MODE: "the user sent a message to this chat a moment ago; wait `retry_after_s`",
    ErrorCode.EDIT_LIMIT: "the message was edited 100 times; it can still be deleted",
    ErrorCode.REACTION_LIMIT: "the message has 20 different reactions, or 5 of the user; one must be removed first",
    ErrorCode.ID_REUSED: "this `client_msg_id` was used for other content",
    ErrorCode.UNAVAILABLE: "temporarily unavailable; retry after `retry_after_s`, with the same `client_msg_id`",
    ErrorCode.UNAUTHORIZED: "in problem documents only: the token is missing, invalid or expired",
    ErrorCode.CONFLICT: "a subscription was ended before it began",
    ErrorCode.ROOM_FULL: "in problem documents only: two other users are in the room",
    ErrorCode.TOO_MANY_SUBSCRIPTIONS: "the socket has 1,000 subscriptions",
}
"""Meanings of `code` in an error frame, or in the problem document of a rejected handshake."""
