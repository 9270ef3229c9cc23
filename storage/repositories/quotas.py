"""What users may store: the chats that one has created, and the members of a chat."""

from collections.abc import Callable
from dataclasses import dataclass

from storage.errors import QuotaExceeded
from storage.models import ChatRoom, Membership, User
from storage.records import Quota


@dataclass(frozen=True, slots=True)
class Quotas:
    """The most of each; 0 is no limit. `on_exceeded` is called with the quota that stopped a call."""

    chats_of_user: int = 0
    members_of_chat: int = 0
    on_exceeded: Callable[[Quota], None] = lambda _: None

    async def check_chats(self, user_id: int) -> None:
        """Check that the user may create one more chat; call it in the transaction that creates it.

        Chats count for the user who created them, not for their owner: ownership moves without the new owner's consent.
        Raises: QuotaExceeded.
        """
        if not self.chats_of_user:
            return
        user = User.filter(id=user_id).only("id")  # a gateway's role may not read every column
        await user.select_for_update(no_key=True).first()  # concurrent calls wait for this one
        if await ChatRoom.filter(created_by=user_id).count() >= self.chats_of_user:
            raise self._exceeded(Quota.CHATS, self.chats_of_user)

    def check_new_members(self, count: int) -> None:
        """Check the number of members of a new chat.

        Raises: QuotaExceeded.
        """
        if 0 < self.members_of_chat < count:
            raise self._exceeded(Quota.MEMBERS, self.members_of_chat)

    async def check_members(self, chat_id: int) -> None:
        """Check that the chat may have one more member; call it in the transaction that holds the lock of the chat.

        Raises: QuotaExceeded.
        """
        if self.members_of_chat and await Membership.filter(chat_id=chat_id).count() >= self.members_of_chat:
            raise self._exceeded(Quota.MEMBERS, self.members_of_chat)

    def _exceeded(self, quota: Quota, most: int) -> QuotaExceeded:
        self.on_exceeded(quota)
        return QuotaExceeded(quota, most)


NO_QUOTAS = Quotas()
