"""The lock of a chat, under which its log, its members and its details change."""

from storage.errors import NoSuchChat
from storage.models import ChatRoom, Membership
from storage.records import ChatKind, is_id


async def locked_chat(chat_id: int, actor_id: int | None) -> ChatRoom:
    """The chat, locked until the transaction ends; a service (None) sees every chat, anyone a public one.

    Raises: NoSuchChat, also if the actor may not see it.
    """
    if not is_id(chat_id):
        raise NoSuchChat
    room = await ChatRoom.select_for_update(no_key=True).get_or_none(id=chat_id, is_removed=False)
    if room is None:
        raise NoSuchChat
    sees_all = actor_id is None or room.kind == ChatKind.PUBLIC
    if not (sees_all or await Membership.exists(chat_id=chat_id, user_id=actor_id)):
        raise NoSuchChat
    return room
