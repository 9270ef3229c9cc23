"""Blocks in direct chats: noted at the place of the blocked user, where each commit looks anyway.

Keeps: a user whom the other member of a direct chat blocks cannot write in it, whichever of chat and block came first.
"""

from collections.abc import Collection

from storage.models import Block, ChatRoom, Membership


def direct_key_of(*user_ids: int) -> str:
    """The unique key of the direct chat of these two users, independent of its creator."""
    return ":".join(map(str, sorted(user_ids)))


async def note_block(user_id: int, blocked_id: int, *, is_blocked: bool) -> None:
    """Note in the direct chat of the two, if there is one, that a block begins or ends; call it in a transaction."""
    chat = await ChatRoom.get_or_none(direct_key=direct_key_of(user_id, blocked_id))
    if chat is not None:
        await Membership.filter(chat_id=chat.id, user_id=blocked_id).update(is_blocked=is_blocked)


async def note_blocks(chat_id: int, user_ids: Collection[int]) -> None:
    """Note in a new direct chat which of its members the other one blocks; call it in a transaction."""
    for block in await Block.filter(user_id__in=user_ids, blocked_id__in=user_ids):
        await Membership.filter(chat_id=chat_id, user_id=block.blocked_id).update(is_blocked=True)
