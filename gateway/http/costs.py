"""What each HTTP operation costs: the one table, from which `gateway.http.call_limits` takes what it counts.

A test compares it with the operations of a node; one that is missing here counts as a request.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Cost(Enum):
    """The class of an operation: what one request counts as, for its caller."""

    UNCOUNTED = "uncounted"  # probes, public keys, and what auth limits by itself
    REQUEST = "request"
    LIST = "list"  # a request, and a list of chats or members
    MESSAGES = "messages"  # a request for each message
    ADD_MEMBERS = "add_members"  # a request, and each member that is named
    CREATE_CHAT = "create_chat"  # a request, a chat, and each member that is named, the creator included


COSTS: Final[Mapping[str, Cost]] = {
    "GET /api/v1/chats": Cost.LIST,
    "POST /api/v1/chats": Cost.CREATE_CHAT,
    "GET /api/v1/unread": Cost.LIST,
    "GET /api/v1/chats/{chat_id}": Cost.LIST,
    "PATCH /api/v1/chats/{chat_id}": Cost.LIST,
    "DELETE /api/v1/chats/{chat_id}": Cost.REQUEST,
    "GET /api/v1/chats/{chat_id}/members": Cost.LIST,
    "POST /api/v1/chats/{chat_id}/members": Cost.ADD_MEMBERS,
    "PATCH /api/v1/chats/{chat_id}/members/{user_id}": Cost.REQUEST,
    "DELETE /api/v1/chats/{chat_id}/members/{user_id}": Cost.REQUEST,
    "DELETE /api/v1/chats/{chat_id}/bars/{user_id}": Cost.REQUEST,
    "PUT /api/v1/chats/{chat_id}/owner": Cost.REQUEST,
    "GET /api/v1/chats/{chat_id}/messages": Cost.REQUEST,
    "POST /api/v1/chats/{chat_id}/messages": Cost.REQUEST,
    "POST /api/v1/messages": Cost.MESSAGES,
    "PATCH /api/v1/chats/{chat_id}/messages/{message_id}": Cost.REQUEST,
    "DELETE /api/v1/chats/{chat_id}/messages/{message_id}": Cost.REQUEST,
    "PUT /api/v1/chats/{chat_id}/messages/{message_id}/reactions/{key}": Cost.REQUEST,
    "DELETE /api/v1/chats/{chat_id}/messages/{message_id}/reactions/{key}": Cost.REQUEST,
    "PATCH /api/v1/chats/{chat_id}/me": Cost.REQUEST,
    "POST /api/v1/chats/{chat_id}/read": Cost.REQUEST,
    "POST /api/v1/chats/{chat_id}/typing": Cost.REQUEST,
    "GET /api/v1/chats/{chat_id}/presence": Cost.REQUEST,
    "POST /api/v1/commands": Cost.REQUEST,
    "GET /api/v1/me": Cost.REQUEST,
    "GET /api/v1/me/blocks": Cost.LIST,
    "PUT /api/v1/me/blocks/{user_id}": Cost.REQUEST,
    "DELETE /api/v1/me/blocks/{user_id}": Cost.REQUEST,
    "GET /api/v1/users": Cost.LIST,
    "GET /api/v1/users/presence": Cost.REQUEST,
    "PUT /api/v1/users/sub:{sub}": Cost.REQUEST,
    "PATCH /api/v1/users/{user_id}": Cost.REQUEST,
    "DELETE /api/v1/users/{user_id}": Cost.REQUEST,
    "DELETE /api/v1/me": Cost.REQUEST,
    "GET /api/v1/me/export": Cost.LIST,
    "GET /api/v1/users/{user_id}/export": Cost.LIST,
    "GET /api/v1/users/{user_id}/erasure": Cost.REQUEST,
    "GET /api/v1/audit": Cost.LIST,
    "GET /api/v1/replicas": Cost.REQUEST,
    "GET /api/v1/settings": Cost.REQUEST,
    "GET /api/v1/webhooks": Cost.LIST,
    "GET /api/v1/webhooks/dead-letters": Cost.LIST,
    "POST /api/v1/webhooks/dead-letters/replay": Cost.LIST,
    "POST /api/v1/webhooks/drop": Cost.LIST,
    "GET /api/v1/users/{user_id}/clients": Cost.REQUEST,
    "POST /api/v1/users/{user_id}/send": Cost.REQUEST,
    "POST /api/v1/clients/{client_id}/send": Cost.REQUEST,
    "POST /api/v1/users/{user_id}/disconnect": Cost.REQUEST,
    "POST /api/v1/users/{user_id}/revoke": Cost.REQUEST,
    "GET /api/v1/users/{user_id}/ban": Cost.REQUEST,
    "PUT /api/v1/users/{user_id}/ban": Cost.REQUEST,
    "DELETE /api/v1/users/{user_id}/ban": Cost.REQUEST,
    "PUT /api/v1/users/{user_id}/staff": Cost.REQUEST,
    "DELETE /api/v1/users/{user_id}/staff": Cost.REQUEST,
    "GET /echo_ws": Cost.REQUEST,
    "GET /pub_ws": Cost.REQUEST,
    "GET /history": Cost.LIST,
    "POST /message": Cost.REQUEST,
    "GET /metrics": Cost.UNCOUNTED,
    "GET /livez": Cost.UNCOUNTED,
    "GET /readyz": Cost.UNCOUNTED,
    "POST /generate-token": Cost.UNCOUNTED,
    "POST /register": Cost.UNCOUNTED,
    "POST /login": Cost.UNCOUNTED,
    "POST /api/v1/login/access-token": Cost.UNCOUNTED,
    "POST /api/v1/login/refresh": Cost.UNCOUNTED,
    "POST /api/v1/logout": Cost.UNCOUNTED,
    "GET /api/v1/me/sessions": Cost.UNCOUNTED,
    "DELETE /api/v1/me/sessions/{session_id}": Cost.UNCOUNTED,
    "POST /api/v1/invitations": Cost.UNCOUNTED,
    "POST /api/v1/password": Cost.UNCOUNTED,
    "POST /api/v1/password/reset": Cost.UNCOUNTED,
    "POST /api/v1/password/reset/confirm": Cost.UNCOUNTED,
    "POST /api/v1/totp": Cost.UNCOUNTED,
    "POST /api/v1/totp/confirm": Cost.UNCOUNTED,
    "DELETE /api/v1/totp": Cost.UNCOUNTED,
    "GET /.well-known/jwks.json": Cost.UNCOUNTED,
}
"""By method and path."""
