"""Seed 004: one chat on one socket, at /ws/chat/{chat_id}/. Its texts match the seed exactly.

The other dialects share its pushes and replies; the native protocol adds a `chat_id`, and has some of its own.
"""

from datetime import UTC, datetime

import orjson

from gateway.dialects.base import EchoPolicy, Request
from gateway.dialects.command_decoder import INVALID_JSON, CommandDecoder, read_object
from gateway.dialects.content import add_content, person_object
from gateway.protocol.pushes import (
    ChatChanged,
    MemberChanged,
    MessagesRead,
    PresenceChange,
    PresenceCount,
    Push,
    Typing,
)
from gateway.protocol.replies import (
    CaughtUp,
    ChatActivity,
    ChatAdded,
    ChatRead,
    ChatRemoved,
    Direct,
    Done,
    ErrorReply,
    Established,
    Greeting,
    HistoryPage,
    Pong,
    PresenceState,
    Present,
    Refreshed,
    Reply,
    Reset,
    Stored,
    TokenExpiring,
    Truncated,
    Unreacted,
    UserPresence,
    UsersPresence,
)
from httpapi.bounded_json import to_json
from storage.chat_records import ChatDetails
from storage.reaction_records import NO_REACTIONS, OwnReactions, Reaction
from storage.records import SYSTEM, ChatEvent


class ChatDialect:
    """Seed 004's JSON, in which the system is a user with the id 0: every message has a sender there."""

    name = "chat"
    echo = EchoPolicy.ALL

    def __init__(self, max_text_length: int = 1000) -> None:
        self._commands = CommandDecoder(max_text_length)
        self._max_text_length = max_text_length

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """The command in one message, or the error that the seed defines."""
        fields = read_object(payload) if is_text else INVALID_JSON
        if isinstance(fields, ErrorReply):
            return fields
        command = self._commands.read(fields)
        return command if isinstance(command, ErrorReply) else Request(command, name=fields["type"])

    def push(self, push: Push) -> bytes | None:
        """The encoding of `push`; this dialect includes every kind."""
        return to_json(push_object(push))

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The encoding of `reply`; None for Stored, because the sender's own copy of the message acknowledges it."""
        fields = reply_object(reply)
        if fields is None:
            return None
        if isinstance(reply, Established):  # for clients that count characters while the user types
            fields["max_text_length"] = self._max_text_length
        return to_json(fields)


def push_object(push: Push, *, is_named: bool = False) -> dict[str, object]:
    """A push in the format of seed 004; `is_named`: with display names."""
    match push:
        case ChatEvent():
            if push.reaction is None:
                return {"type": "message", "data": message_object(push, is_named=is_named)}
            place = {"seq": push.seq, "client_msg_id": push.client_msg_id}
            return {"type": "reaction", **reaction_object(push.message_id, push.reaction), **place}
        case Typing(person=person):
            user = _user_object(person.id, person.username, person.shown_name, is_named=is_named)
            return {"type": "typing", **user, "is_typing": push.is_typing}
        case MessagesRead(person=person):
            user = _user_object(person.id, person.username, person.shown_name, is_named=is_named)
            return {"type": "messages_read", **user, "seq": push.seq}
        case PresenceChange():
            user = _user_object(push.user_id, push.username, push.display_name, is_named=is_named)
            return {"type": "presence", **user, "status": push.status}
        case PresenceCount():
            return {"type": "presence_count", "count": push.count}
        case MemberChanged():
            return {
                "type": "member_changed",
                "chat_id": push.chat_id,
                "user_id": push.user_id,
                "role": push.role,
                "muted_until": moment_or_none(push.muted_until),
            }
        case ChatChanged():
            return {"type": "chat_changed", "chat_id": push.chat_id, **details_object(push.details)}


def reply_object(reply: Reply, *, is_named: bool = False) -> dict[str, object] | None:
    """A reply in the format of seed 004; None if the seed does not send one. `is_named`: with display names."""
    match reply:
        case Stored(duplicate=False) | Done():  # first, since nearly all are
            return None
        case Established():
            return {
                "type": "connection_established",
                "message": "Successfully connected to chat",
                "chat_id": reply.chat_id,
                "node": reply.node,
                "last_seq": reply.last_seq,
                "epoch": reply.epoch,
            }
        case Stored():
            return {**push_object(reply.event, is_named=is_named), "duplicate": True}
        case Unreacted():
            return {"type": "reaction", **reaction_object(reply.message_id, reply.reaction), "duplicate": True}
        case HistoryPage():
            own = reply.own_reactions
            return {
                "type": "history",
                "messages": [message_object(event, own, is_named=is_named) for event in reply.events],
                "last_seq": reply.last_seq,
            }
        case PresenceState():
            return {
                "type": "presence_state",
                "members": [present_object(present, is_named=is_named) for present in reply.members],
            }
        case UserPresence():
            return {"type": "user_presence"} | user_presence_object(reply)
        case UsersPresence():
            return {"type": "users_presence", "users": [user_presence_object(user) for user in reply.users]}
        case CaughtUp():
            return {"type": "caught_up", "chat_id": reply.chat_id, "seq": reply.seq, "epoch": reply.epoch}
        case Reset():
            return {"type": "reset", "chat_id": reply.chat_id, "last_seq": reply.last_seq, "epoch": reply.epoch}
        case Truncated():
            return {"type": "truncated", "chat_id": reply.chat_id, "first_seq": reply.first_seq}
        case Pong():
            return {"type": "pong"}
        case Greeting():
            return {
                "type": "hello",
                "client_id": reply.client_id,
                "user_id": reply.user_id,
                "authenticated": reply.user_id is not None,
                "message": reply.message,
            }
        case ErrorReply():
            error: dict[str, object] = {"type": "error", "message": reply.message, "code": reply.code}
            if reply.retry_after_s is not None:
                error["retry_after_s"] = reply.retry_after_s
            return error
        case ChatAdded():
            return {"type": "chat_added", "chat_id": reply.chat_id}
        case ChatRemoved():
            return {"type": "chat_removed", "chat_id": reply.chat_id}
        case ChatActivity():
            return {"type": "chat_activity", "chat_id": reply.chat_id, "last_seq": reply.last_seq}
        case ChatRead():
            return {"type": "chat_read", "chat_id": reply.chat_id, "seq": reply.seq, "unread": reply.unread}
        case MessagesRead() | ChatChanged():
            return push_object(reply)
        case Refreshed():
            return {"type": "refreshed", "expires_at": datetime.fromtimestamp(reply.expires_at, UTC)}
        case TokenExpiring():
            return {"type": "token_expiring", "expires_in_s": reply.expires_in_s}
        case Direct():
            return {"type": "direct", "data": orjson.Fragment(reply.json)}


def moment_or_none(seconds: int) -> datetime | None:
    """A time in Unix seconds; None for 0."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def details_object(details: ChatDetails) -> dict[str, object]:
    """What a chat is beside its members and its log, in the formats of seed 004's dialect and the HTTP API."""
    return {
        "title": details.title,
        "key": details.key,
        "data": orjson.Fragment(details.data or "null"),
        "frozen": details.is_frozen,
        "slow_mode_s": details.slow_mode_s,
        "retention_days": details.retention_days,
    }


def message_object(
    event: ChatEvent,
    own_reactions: OwnReactions = NO_REACTIONS,
    *,
    is_named: bool = True,
    sender: dict[str, object] | None = None,
) -> dict[str, object]:
    """Seed 004's `data` object of a message; `is_named`: with the display name, as native and over HTTP.

    `sender` is its `person_object`, if the caller has it.
    """
    fields: dict[str, object] = {
        "id": event.message_id,
        "text": event.text,
        "sender": sender or person_object(event.sender, is_named=is_named),
        "timestamp": event.created_at,
        "is_edited": event.is_edited,
        "is_deleted": event.is_deleted,
        "seq": event.seq,
        "client_msg_id": event.client_msg_id,
    }
    if event.sender.id == SYSTEM.id:
        fields["kind"] = "system"
    if event.reactions is not None:
        fields["reactions"] = orjson.Fragment(event.reactions)
        if own := own_reactions.get(event.message_id):
            fields["own_reactions"] = own
    if event.reaction is not None:
        fields["reaction"] = reaction_object(event.message_id, event.reaction)
    elif event.by is not None:
        fields["by"] = person_object(event.by, is_named=is_named)
    add_content(fields, event, is_named=is_named)
    return fields


def reaction_object(message_id: int, reaction: Reaction) -> dict[str, object]:
    """A change of the reactions to a message, with the counts after it."""
    return {
        "message_id": message_id,
        "key": reaction.key,
        "user_id": reaction.user_id,
        "removed": reaction.removed,
        "counts": orjson.Fragment(reaction.counts),
    }


def present_object(present: Present, *, is_named: bool = True) -> dict[str, object]:
    """A connected user in the format of seed 004; `is_named`: with the display name, as native and over HTTP."""
    user = _user_object(present.user_id, present.username, present.display_name, is_named=is_named)
    return user | {"connected_at": datetime.fromtimestamp(present.connected_at, UTC)}


def _user_object(user_id: int, username: str, display_name: str, *, is_named: bool) -> dict[str, object]:
    """A user whom seed 004 names by `username`; the name that people see is the username where it is not known."""
    user: dict[str, object] = {"user_id": user_id, "username": username}
    return user | {"display_name": display_name or username} if is_named else user


def user_presence_object(user: UserPresence) -> dict[str, object]:
    """Whether a user is online, in the native protocol and the HTTP API."""
    return {"user_id": user.user_id, "online": user.online, "last_seen_at": user.last_seen_at}
