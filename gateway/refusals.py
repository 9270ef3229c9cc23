"""The error reply for each reason why a command is refused."""

import math

from gateway.codes import ErrorCode
from gateway.messages import ErrorReply, RateLimited
from storage.records import Refusal

UNAVAILABLE = ErrorReply(ErrorCode.UNAVAILABLE, "Temporarily unavailable, please try again", retry_after_s=1)

REFUSALS = {
    Refusal.NOT_A_MEMBER: ErrorReply(ErrorCode.FORBIDDEN, "You are not a member of this chat"),
    Refusal.NO_SUCH_MESSAGE: ErrorReply(ErrorCode.NOT_FOUND, "Message not found"),
    Refusal.NOT_THE_AUTHOR: ErrorReply(ErrorCode.FORBIDDEN, "Only its author may change a message"),
    Refusal.ID_REUSED: ErrorReply(ErrorCode.ID_REUSED, "This client_msg_id was used for other content"),
    Refusal.UNAVAILABLE: UNAVAILABLE,
    Refusal.NOT_STORABLE: UNAVAILABLE,  # what went wrong is not for clients
}


NEEDS_A_USER = ErrorReply(ErrorCode.FORBIDDEN, "Log in to do this")
NOT_SUBSCRIBED = ErrorReply(ErrorCode.CONFLICT, "The subscription was ended before it began")


def not_in_chat() -> ErrorReply:
    """The command names a chat that the user may not see, or that does not exist."""
    return REFUSALS[Refusal.NOT_A_MEMBER]


def rate_limited(limited: RateLimited) -> ErrorReply:
    """The user's minute is full; whole seconds, rounded up, so that who waits is not refused again."""
    return ErrorReply(
        ErrorCode.RATE_LIMITED, "Too many messages, please wait", retry_after_s=max(1, math.ceil(limited.retry_after_s))
    )
