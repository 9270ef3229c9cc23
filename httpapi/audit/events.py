"""What is recorded: the closed list of events, and the operations that cause them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Event(StrEnum):
    """What somebody did or tried."""

    LOGIN = "login"
    LOGIN_RENEWED = "login_renewed"
    LOGOUT = "logout"
    ACCOUNT_CREATED = "account_created"
    INVITATION_CREATED = "invitation_created"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event, not a password
    PASSWORD_RESET_ASKED = "password_reset_asked"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    SECOND_FACTOR_ADDED = "second_factor_added"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    USER_CHANGED = "user_changed"
    USER_ERASED = "user_erased"
    GUEST_TOKEN_ISSUED = "guest_token_issued"  # noqa: S105 - an event, not a token
    USER_DISCONNECTED = "user_disconnected"
    TOKENS_REVOKED = "tokens_revoked"
    USER_BANNED = "user_banned"
    USER_UNBANNED = "user_unbanned"
    STAFF_ADDED = "staff_added"
    STAFF_REMOVED = "staff_removed"
    CHAT_CREATED = "chat_created"
    CHAT_CHANGED = "chat_changed"
    CHAT_REMOVED = "chat_removed"
    MEMBER_ADDED = "member_added"
    MEMBER_REMOVED = "member_removed"
    MEMBER_CHANGED = "member_changed"
    BAR_LIFTED = "bar_lifted"
    OWNER_CHANGED = "owner_changed"
    MESSAGE_MODERATED = "message_moderated"
    """Somebody else than its author has edited or deleted a message."""
    KEY_ROTATED = "key_rotated"
    STORE_RESTORED = "store_restored"
    WEBHOOK_DROPPED = "webhook_dropped"
    """What the outbox had of a webhook that is no longer set up was deleted."""
    AUDIT_READ = "audit_read"
    SERVICE_CALL = "service_call"
    """Any other call with a valid service key."""
    REQUEST_REFUSED = "request_refused"
    """Any other HTTP request that got 401, 403 or 429."""
    CONNECTION_REFUSED = "connection_refused"
    """A WebSocket handshake."""
    RECORDS_LOST = "records_lost"
    """The queue was full; `count` records are in the log only."""


class Result(StrEnum):
    """How it ended."""

    OK = "ok"
    DENIED = "denied"
    """The caller's fault: a status of 4xx."""
    FAILED = "failed"
    """Ours: 5xx, or no response."""


OPERATIONS: Final[Mapping[str, Event]] = {
    "POST /login": Event.LOGIN,
    "POST /api/v1/login/access-token": Event.LOGIN,
    "POST /api/v1/login/refresh": Event.LOGIN_RENEWED,
    "POST /api/v1/logout": Event.LOGOUT,
    "DELETE /api/v1/me/sessions/{session_id}": Event.LOGOUT,
    "POST /register": Event.ACCOUNT_CREATED,
    "POST /api/v1/invitations": Event.INVITATION_CREATED,
    "POST /api/v1/password": Event.PASSWORD_CHANGED,
    "POST /api/v1/password/reset": Event.PASSWORD_RESET_ASKED,
    "POST /api/v1/password/reset/confirm": Event.PASSWORD_RESET,
    "POST /api/v1/totp/confirm": Event.SECOND_FACTOR_ADDED,
    "DELETE /api/v1/totp": Event.SECOND_FACTOR_REMOVED,
    "PUT /api/v1/users/sub:{sub}": Event.USER_CHANGED,
    "PATCH /api/v1/users/{user_id}": Event.USER_CHANGED,
    "DELETE /api/v1/users/{user_id}": Event.USER_ERASED,
    "DELETE /api/v1/me": Event.USER_ERASED,
    "POST /generate-token": Event.GUEST_TOKEN_ISSUED,
    "POST /api/v1/users/{user_id}/disconnect": Event.USER_DISCONNECTED,
    "POST /api/v1/users/{user_id}/revoke": Event.TOKENS_REVOKED,
    "PUT /api/v1/users/{user_id}/ban": Event.USER_BANNED,
    "DELETE /api/v1/users/{user_id}/ban": Event.USER_UNBANNED,
    "PUT /api/v1/users/{user_id}/staff": Event.STAFF_ADDED,
    "DELETE /api/v1/users/{user_id}/staff": Event.STAFF_REMOVED,
    "POST /api/v1/chats": Event.CHAT_CREATED,
    "PATCH /api/v1/chats/{chat_id}": Event.CHAT_CHANGED,
    "DELETE /api/v1/chats/{chat_id}": Event.CHAT_REMOVED,
    "POST /api/v1/chats/{chat_id}/members": Event.MEMBER_ADDED,
    "PATCH /api/v1/chats/{chat_id}/members/{user_id}": Event.MEMBER_CHANGED,
    "DELETE /api/v1/chats/{chat_id}/members/{user_id}": Event.MEMBER_REMOVED,
    "DELETE /api/v1/chats/{chat_id}/bars/{user_id}": Event.BAR_LIFTED,
    "PUT /api/v1/chats/{chat_id}/owner": Event.OWNER_CHANGED,
    "POST /api/v1/webhooks/drop": Event.WEBHOOK_DROPPED,
    "GET /api/v1/audit": Event.AUDIT_READ,
}
"""By method and route."""

UNRECORDED: Final = frozenset({"GET /metrics", "GET /api/v1/replicas"})
"""Polled by machines and by the operator's page with a service key; only refusals are recorded."""

REFUSALS: Final = frozenset({401, 403, 429})
"""The statuses that are recorded for any operation."""


def result_of(status: int) -> Result:
    """The result of a response with this status; 0 if there was none."""
    if 100 <= status < 400:
        return Result.OK
    return Result.DENIED if 400 <= status < 500 else Result.FAILED
