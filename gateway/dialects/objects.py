"""Pushes and replies as seed 004 spells them; the native protocol adds a `chat_id` to them, and has some of its own."""

import orjson

from gateway.messages import (
    CaughtUp,
    Done,
    ErrorReply,
    Established,
    Greeting,
    HistoryPage,
    MessagesRead,
    Pong,
    PresenceChange,
    PresenceCount,
    PresenceState,
    Push,
    Reply,
    Reset,
    Stored,
    Typing,
    message_object,
    present_object,
)
from gateway.notices import ChatActivity, ChatAdded, ChatRemoved, Direct
from storage.records import ChatEvent


def push_object(push: Push) -> dict[str, object]:
    """A push as seed 004 spells it."""
    match push:
        case ChatEvent():
            return {"type": "message", "data": message_object(push)}
        case Typing(person=person):
            return {
                "type": "typing",
                "user_id": person.id,
                "username": person.username,
                "is_typing": push.is_typing,
            }
        case MessagesRead(person=person):
            return {"type": "messages_read", "user_id": person.id, "username": person.username, "seq": push.seq}
        case PresenceChange():
            return {
                "type": "presence",
                "user_id": push.user_id,
                "username": push.username,
                "status": push.status,
            }
        case PresenceCount():
            return {"type": "presence_count", "count": push.count}


def reply_object(reply: Reply) -> dict[str, object] | None:
    """A reply as seed 004 spells it; None if it says nothing there."""
    match reply:
        case Established():
            return {
                "type": "connection_established",
                "message": "Successfully connected to chat",
                "chat_id": reply.chat_id,
                "node": reply.node,
                "last_seq": reply.last_seq,
                "epoch": reply.epoch,
            }
        case Stored(duplicate=False) | Done():
            return None
        case Stored():
            return {"type": "message", "data": message_object(reply.event), "duplicate": True}
        case HistoryPage():
            return {
                "type": "history",
                "messages": [message_object(event) for event in reply.events],
                "last_seq": reply.last_seq,
            }
        case PresenceState():
            return {"type": "presence_state", "members": [present_object(present) for present in reply.members]}
        case CaughtUp():
            return {"type": "caught_up", "chat_id": reply.chat_id, "seq": reply.seq, "epoch": reply.epoch}
        case Reset():
            return {"type": "reset", "chat_id": reply.chat_id, "last_seq": reply.last_seq, "epoch": reply.epoch}
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
        case Direct():
            return {"type": "direct", "data": orjson.Fragment(reply.json)}
