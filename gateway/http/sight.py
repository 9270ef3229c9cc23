"""What a user may see of a chat: members see theirs, everybody sees the public ones, and the rest is not there."""

from dataclasses import dataclass

from gateway.membership import Membership
from gateway.problems import not_found


@dataclass(frozen=True, slots=True)
class Sight:
    """A chat that the user may see. `epoch` is known where it came with the membership."""

    last_seq: int
    epoch: str | None


async def see_chat(membership: Membership, chat_id: int, user_id: int) -> Sight:
    """The chat, in one query for its members; its membership is asked first, as it is the cheap and usual case.

    Raises: Problem (404), StorageUnavailable.
    """
    admission = await membership.admit(chat_id, user_id)
    if admission is not None:
        return Sight(admission.position.last_seq, admission.epoch)
    chat = await membership.chat(chat_id, user_id)
    if chat is None:
        raise not_found()
    return Sight(chat.last_seq, None)
