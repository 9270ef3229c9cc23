"""What a user may see of a chat, over HTTP."""

from gateway.membership import Membership
from gateway.problems import not_found
from gateway.sight import Sight, look


async def see_chat(membership: Membership, chat_id: int, user_id: int) -> Sight:
    """The chat as this user sees it.

    Raises: Problem (404), StorageUnavailable.
    """
    sight = await look(membership, chat_id, user_id)
    if sight is None:
        raise not_found()
    return sight
