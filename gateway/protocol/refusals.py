"""The errors of commands: one for each reason for which the log rejects an event, which HTTP shares, and others."""

import math
from collections.abc import Mapping
from typing import Final

from gateway.protocol.codes import ErrorCode
from gateway.protocol.replies import ErrorReply
from storage.records import Refusal, SlowMode

UNAVAILABLE: Final = ErrorReply(ErrorCode.UNAVAILABLE, "Temporarily unavailable, please try again", retry_after_s=1)

REFUSALS: Final[Mapping[Refusal, ErrorReply]] = {
    Refusal.NOT_A_MEMBER: ErrorReply(ErrorCode.FORBIDDEN, "You are not a member of this chat"),
    Refusal.NO_SUCH_MESSAGE: ErrorReply(ErrorCode.NOT_FOUND, "Message not found"),
    Refusal.NO_SUCH_TARGET: ErrorReply(
        ErrorCode.INVALID_FIELD, "Invalid field reply_to: expected a message of this chat"
    ),
    Refusal.NOT_THE_AUTHOR: ErrorReply(ErrorCode.FORBIDDEN, "Only its author may change a message"),
    Refusal.READER: ErrorReply(ErrorCode.FORBIDDEN, "You may only read in this chat"),
    Refusal.MUTED: ErrorReply(ErrorCode.MUTED, "You are muted in this chat"),
    Refusal.CHAT_FROZEN: ErrorReply(ErrorCode.CHAT_FROZEN, "This chat is frozen: only its moderators write"),
    Refusal.EDIT_LIMIT: ErrorReply(ErrorCode.EDIT_LIMIT, "This message was edited too many times"),
    Refusal.REACTION_LIMIT: ErrorReply(ErrorCode.REACTION_LIMIT, "This message has too many reactions"),
    Refusal.BLOCKED: ErrorReply(ErrorCode.FORBIDDEN, "You may not write in this chat"),
    Refusal.ID_REUSED: ErrorReply(ErrorCode.ID_REUSED, "This client_msg_id was used for other content"),
    Refusal.UNAVAILABLE: UNAVAILABLE,
    Refusal.NOT_STORABLE: UNAVAILABLE,  # the cause is not for clients
}

NEEDS_A_USER: Final = ErrorReply(ErrorCode.FORBIDDEN, "Log in to do this")
NOT_REFRESHED: Final = ErrorReply(ErrorCode.FORBIDDEN, "This is no valid token of the session's user")
REFRESHED_TOO_OFTEN: Final = ErrorReply(ErrorCode.RATE_LIMITED, "Refreshed a moment ago", retry_after_s=1)
NOT_SUBSCRIBED: Final = ErrorReply(ErrorCode.CONFLICT, "The subscription was ended before it began")


def refusal_reply(refusal: Refusal | SlowMode) -> ErrorReply:
    """The reply to an event that the log does not take."""
    if isinstance(refusal, SlowMode):
        return ErrorReply(ErrorCode.SLOW_MODE, "This chat is in slow mode, please wait", refusal.retry_after_s)
    return REFUSALS[refusal]


def not_in_chat() -> ErrorReply:
    """The reply to a command for a chat that the user may not see, or that does not exist."""
    return REFUSALS[Refusal.NOT_A_MEMBER]


def rate_limited(wait_s: float) -> ErrorReply:
    """The reply at the rate limit; whole seconds, rounded up, so that a retry after them is not rejected."""
    return ErrorReply(ErrorCode.RATE_LIMITED, "Too many messages, please wait", retry_after_s=max(1, math.ceil(wait_s)))


def commands_limited(wait_s: float) -> ErrorReply:
    """The reply to a command beyond its limit (`gateway.sessions.command_limits`); whole seconds as above."""
    wait = max(1, math.ceil(wait_s))
    return ErrorReply(ErrorCode.RATE_LIMITED, "Too many commands of this kind, please wait", retry_after_s=wait)
