"""What somebody may see of a chat: members see theirs, everybody sees the public ones, and the rest is not there."""

from dataclasses import dataclass

from gateway.membership import Membership


@dataclass(frozen=True, slots=True)
class Sight:
    """A chat that somebody may see, whose last event is `last_seq`."""

    last_seq: int
    epoch: str
    is_member: bool


async def look(membership: Membership, chat_id: int, user_id: int | None) -> Sight | None:
    """The chat as this user (None: a nobody) sees it; members, as the usual case, cost one query.

    Raises: StorageUnavailable.
    """
    if user_id is not None and (admission := await membership.admit(chat_id, user_id)) is not None:
        return Sight(admission.position.last_seq, admission.epoch, is_member=True)
    if (public := await membership.public(chat_id)) is not None:
        return Sight(public.last_seq, public.epoch, is_member=False)
    return None
