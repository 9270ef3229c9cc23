"""The owner of a chat, who may add and remove its members.

`chats.creator_id` is the owner: the user who created the chat, until ownership is transferred or inherited. It counts
only while that user is a member: nodes of earlier versions let the creator leave without a successor.
"""

from collections.abc import Sequence

from storage.models import ChatRoom, Membership
from storage.records import SYSTEM, ChatKind, Member, Role


def owner_among(kind: ChatKind, creator_id: int, members: Sequence[Member]) -> int | None:
    """The owner of a chat with these members, oldest first; None for a direct or empty chat or one of the system."""
    if kind is ChatKind.DIRECT or creator_id == SYSTEM.id or not members:
        return None
    if any(member.person.id == creator_id for member in members):
        return creator_id
    return next((member for member in members if member.role is not Role.CLIENT), members[0]).person.id


async def settle_owner(room: ChatRoom) -> int | None:
    """The owner, read from the database; one that differs from `creator_id` is written there.

    The oldest member succeeds an owner who has left; in a service or support chat, the client only if no other member
    is left. Call it in the transaction that holds the lock of the chat.
    """
    if room.creator_id == SYSTEM.id:
        return None
    members = Membership.filter(chat_id=room.id)
    if await members.filter(user_id=room.creator_id).exists():
        return room.creator_id
    by_age = members.order_by("id")
    successor = await by_age.exclude(role=Role.CLIENT).first() or await by_age.first()
    if successor is None:
        return None
    await set_owner(room, successor.user_id)
    return room.creator_id


async def set_owner(room: ChatRoom, user_id: int) -> None:
    """Make a member the owner, who is neither muted nor a reader; call it under the lock of the chat."""
    room.creator_id = user_id
    await ChatRoom.filter(id=room.id).update(creator_id=user_id)
    place = Membership.filter(chat_id=room.id, user_id=user_id)
    await place.update(muted_until=0)
    await place.filter(role=Role.READER).update(role=Role.MEMBER)
