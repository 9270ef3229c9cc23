"""Chats and members as the API shows them."""

from gateway.http.shapes import ChatObject, MemberObject
from storage.records import Chat, Member


def chat_object(chat: Chat) -> ChatObject:
    """A chat with all its members."""
    return {
        "id": chat.id,
        "kind": chat.kind,
        "title": chat.title,
        "members": [member_object(member) for member in chat.members],
        "last_seq": chat.last_seq,
    }


def member_object(member: Member) -> MemberObject:
    """A member, and how far it has read."""
    person = member.person
    return {
        "user_id": person.id,
        "username": person.username,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "role": member.role,
        "read_seq": member.read_seq,
    }
