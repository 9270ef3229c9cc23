"""Who may do what: the one table of every operation over HTTP and every command over WebSockets.

docs/roles.md is generated from it. The native session takes who may use a command from it; a test compares it with the
scopes that the operations declare, and with what a running node answers to each party.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from httpapi.operation import Scope


class Party(StrEnum):
    """What a caller is to the chat of the operation; a staff member is a user whom a service has made one."""

    ANONYMOUS = "anonymous"
    GUEST = "guest"
    STRANGER = "stranger"
    VISITOR = "visitor"
    MEMBER = "member"
    CLIENT = "client"
    MASTER = "master"
    SUPPORT = "support"
    MODERATOR = "moderator"
    READER = "reader"
    OWNER = "owner"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may use an operation; `scope` is that of a service key which may use it, for a user only if `for_users`."""

    parties: frozenset[Party]
    scope: Scope | None = None
    for_users: bool = False


_WRITERS: Final = frozenset({Party.MEMBER, Party.CLIENT, Party.MASTER, Party.SUPPORT, Party.MODERATOR, Party.OWNER})
_MEMBERS: Final = _WRITERS | {Party.READER}
_MODERATORS: Final = frozenset({Party.MODERATOR, Party.OWNER})
_READERS: Final = _MEMBERS | {Party.VISITOR}
_OWNER: Final = frozenset({Party.OWNER})
_STAFF: Final = frozenset({Party.STAFF})
_GUEST: Final = frozenset({Party.GUEST})
USERS: Final = frozenset(Party) - {Party.ANONYMOUS, Party.GUEST}
_ANYONE: Final = frozenset(Party)
_NO_ONE: Final = frozenset[Party]()

HTTP: Final[Mapping[str, Rule]] = {
    "GET /api/v1/chats": Rule(USERS, Scope.CHATS, for_users=True),
    "POST /api/v1/chats": Rule(USERS, Scope.CHATS),
    "POST /api/v1/chats (service or support)": Rule(_STAFF, Scope.CHATS),
    "GET /api/v1/unread": Rule(USERS, Scope.CHATS, for_users=True),
    "GET /api/v1/chats/{chat_id}": Rule(_READERS, Scope.CHATS),
    "PATCH /api/v1/chats/{chat_id}": Rule(_OWNER, Scope.CHATS),
    "PATCH /api/v1/chats/{chat_id} (frozen, slow_mode_s)": Rule(_MODERATORS, Scope.CHATS),
    "DELETE /api/v1/chats/{chat_id}": Rule(_OWNER, Scope.CHATS),
    "GET /api/v1/chats/{chat_id}/members": Rule(_MEMBERS, Scope.CHATS),
    "POST /api/v1/chats/{chat_id}/members": Rule(_OWNER, Scope.CHATS),
    "PATCH /api/v1/chats/{chat_id}/members/{user_id}": Rule(_OWNER, Scope.CHATS),
    "PATCH /api/v1/chats/{chat_id}/members/{user_id} (muted_until)": Rule(_MODERATORS, Scope.CHATS),
    "DELETE /api/v1/chats/{chat_id}/members/{user_id}": Rule(_MODERATORS, Scope.CHATS),
    "DELETE /api/v1/chats/{chat_id}/members/{user_id} (oneself)": Rule(_MEMBERS),
    "DELETE /api/v1/chats/{chat_id}/bars/{user_id}": Rule(_OWNER, Scope.CHATS),
    "PUT /api/v1/chats/{chat_id}/owner": Rule(_OWNER, Scope.CHATS),
    "GET /api/v1/chats/{chat_id}/messages": Rule(_READERS, Scope.MESSAGES),
    "POST /api/v1/chats/{chat_id}/messages": Rule(_WRITERS, Scope.MESSAGES),
    "POST /api/v1/messages": Rule(_NO_ONE, Scope.MESSAGES),
    "PATCH /api/v1/chats/{chat_id}/messages/{message_id}": Rule(_WRITERS, Scope.MESSAGES),
    "DELETE /api/v1/chats/{chat_id}/messages/{message_id}": Rule(_WRITERS, Scope.MESSAGES),
    "DELETE /api/v1/chats/{chat_id}/messages/{message_id} (anyone's)": Rule(_MODERATORS, Scope.MESSAGES),
    "PUT /api/v1/chats/{chat_id}/messages/{message_id}/reactions/{key}": Rule(_WRITERS, Scope.MESSAGES, for_users=True),
    "DELETE /api/v1/chats/{chat_id}/messages/{message_id}/reactions/{key}": Rule(
        _WRITERS, Scope.MESSAGES, for_users=True
    ),
    "PATCH /api/v1/chats/{chat_id}/me": Rule(_MEMBERS, Scope.CHATS, for_users=True),
    "POST /api/v1/chats/{chat_id}/read": Rule(_MEMBERS, Scope.MESSAGES, for_users=True),
    "POST /api/v1/chats/{chat_id}/typing": Rule(_WRITERS, Scope.MESSAGES, for_users=True),
    "GET /api/v1/chats/{chat_id}/presence": Rule(_READERS, Scope.CHATS),
    "POST /api/v1/commands": Rule(USERS, Scope.MESSAGES, for_users=True),
    "GET /api/v1/me": Rule(USERS),
    "DELETE /api/v1/me": Rule(USERS),
    "GET /api/v1/me/sessions": Rule(USERS),
    "DELETE /api/v1/me/sessions/{session_id}": Rule(USERS),
    "GET /api/v1/me/blocks": Rule(USERS, Scope.USERS, for_users=True),
    "PUT /api/v1/me/blocks/{user_id}": Rule(USERS, Scope.USERS, for_users=True),
    "DELETE /api/v1/me/blocks/{user_id}": Rule(USERS, Scope.USERS, for_users=True),
    "GET /api/v1/users/presence": Rule(USERS, Scope.USERS, for_users=True),
    "GET /api/v1/users": Rule(_NO_ONE, Scope.USERS),
    "PUT /api/v1/users/sub:{sub}": Rule(_NO_ONE, Scope.USERS),
    "PATCH /api/v1/users/{user_id}": Rule(_NO_ONE, Scope.USERS),
    "DELETE /api/v1/users/{user_id}": Rule(_NO_ONE, Scope.USERS),
    "GET /api/v1/me/export": Rule(USERS),
    "GET /api/v1/users/{user_id}/export": Rule(_NO_ONE, Scope.USERS),
    "GET /api/v1/users/{user_id}/erasure": Rule(_NO_ONE, Scope.USERS),
    "GET /api/v1/users/{user_id}/clients": Rule(_NO_ONE, Scope.USERS),
    "POST /api/v1/users/{user_id}/send": Rule(_NO_ONE, Scope.MESSAGES),
    "POST /api/v1/clients/{client_id}/send": Rule(_NO_ONE, Scope.MESSAGES),
    "POST /api/v1/users/{user_id}/disconnect": Rule(_NO_ONE, Scope.MODERATE),
    "POST /api/v1/users/{user_id}/revoke": Rule(_NO_ONE, Scope.MODERATE),
    "GET /api/v1/users/{user_id}/ban": Rule(_NO_ONE, Scope.MODERATE),
    "PUT /api/v1/users/{user_id}/ban": Rule(_NO_ONE, Scope.MODERATE),
    "DELETE /api/v1/users/{user_id}/ban": Rule(_NO_ONE, Scope.MODERATE),
    "PUT /api/v1/users/{user_id}/staff": Rule(_NO_ONE, Scope.USERS),
    "DELETE /api/v1/users/{user_id}/staff": Rule(_NO_ONE, Scope.USERS),
    "GET /echo_ws": Rule(USERS),
    "GET /pub_ws": Rule(USERS),
    "GET /history": Rule(USERS),
    "POST /message": Rule(_NO_ONE, Scope.MESSAGES),
    "POST /generate-token": Rule(_NO_ONE, Scope.USERS),
    "GET /api/v1/audit": Rule(_NO_ONE, Scope.ADMIN),
    "GET /api/v1/webhooks": Rule(_NO_ONE, Scope.ADMIN),
    "GET /api/v1/webhooks/dead-letters": Rule(_NO_ONE, Scope.ADMIN),
    "POST /api/v1/webhooks/dead-letters/replay": Rule(_NO_ONE, Scope.ADMIN),
    "POST /api/v1/webhooks/drop": Rule(_NO_ONE, Scope.ADMIN),
    "GET /api/v1/replicas": Rule(_NO_ONE, Scope.ADMIN),
    "GET /api/v1/settings": Rule(_NO_ONE, Scope.ADMIN),
    "GET /metrics": Rule(_NO_ONE, Scope.ADMIN),
    "POST /register": Rule(_ANYONE),
    "POST /login": Rule(_ANYONE),
    "POST /api/v1/login/access-token": Rule(_ANYONE),
    "POST /api/v1/login/refresh": Rule(_ANYONE),
    "POST /api/v1/logout": Rule(_ANYONE),
    "POST /api/v1/password": Rule(USERS),
    "POST /api/v1/totp": Rule(USERS),
    "POST /api/v1/totp/confirm": Rule(USERS),
    "DELETE /api/v1/totp": Rule(USERS),
    "POST /api/v1/password/reset": Rule(_ANYONE),
    "POST /api/v1/password/reset/confirm": Rule(_ANYONE),
    "POST /api/v1/invitations": Rule(_NO_ONE, Scope.USERS),
    "GET /.well-known/jwks.json": Rule(_ANYONE),
    "GET /livez": Rule(_ANYONE),
    "GET /readyz": Rule(_ANYONE),
}
"""By method and path, in production; a remark in parentheses tells two uses of one operation apart."""

SOCKETS: Final[Mapping[str, Rule]] = {
    "/ws/{client_id}": Rule(_ANYONE),
    "/sse/{client_id}": Rule(USERS | {Party.ANONYMOUS}),
    "/ws/chat/{chat_id}": Rule(_MEMBERS),
    "/ws/service-chats/{chat_id}": Rule(frozenset({Party.MASTER, Party.CLIENT})),
    "/ws/support-chats/{chat_id}": Rule(frozenset({Party.SUPPORT, Party.CLIENT})),
    "/channels/public": Rule(USERS),
    "/channels/echo": Rule(USERS),
    "/updates/{room_id}": Rule(_GUEST),
}
"""Who may connect, by URL; in a chat of another kind nobody has the role."""

COMMANDS: Final[Mapping[str, Rule]] = {
    "ping": Rule(_ANYONE),
    "hello": Rule(_ANYONE),
    "refresh": Rule(USERS),
    "subscribe": Rule(_READERS | {Party.ANONYMOUS, Party.GUEST}),
    "unsubscribe": Rule(_ANYONE),
    "subscribe_presence": Rule(USERS),
    "message": Rule(_WRITERS),
    "edit_message": Rule(_WRITERS),
    "delete_message": Rule(_WRITERS),
    "react": Rule(_WRITERS),
    "history": Rule(_READERS),
    "presence": Rule(_READERS),
    "typing": Rule(_WRITERS),
    "read_messages": Rule(_MEMBERS),
}
"""By the `type` of a native command; an anonymous client or a guest is a visitor without a name.

Users edit and delete their own messages and remove their own reactions only; moderators and the owner of a chat
delete any message, a service as itself changes any. A reader may still delete what it wrote before.
"""
