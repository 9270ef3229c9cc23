"""The connected users of a chat, with the names that people see."""

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from gateway.interfaces.presence import Presence
from gateway.protocol.replies import Present
from storage.errors import StorageUnavailable
from storage.records import Profile


class ProfilesById(Protocol):
    """Implemented by `storage.repositories.profiles`."""

    async def by_ids(self, user_ids: Sequence[int]) -> list[Profile]:
        """The profiles of those ids that are users, by id.

        Raises: StorageUnavailable.
        """
        ...


class PresentPeople:
    """The connected users of a chat with their display names."""

    def __init__(self, presence: Presence, store: ProfilesById) -> None:
        self._presence = presence
        self._store = store

    async def members(self, chat_id: int) -> list[Present]:
        """The users present now, without the seats of dead nodes; without display names while the database is down.

        Raises: RedisUnavailable.
        """
        present = await self._presence.members(chat_id)
        try:
            profiles = await self._store.by_ids([user.user_id for user in present])
        except StorageUnavailable:
            return present
        names = {profile.person.id: profile.person.shown_name for profile in profiles}
        return [replace(user, display_name=names.get(user.user_id, "")) for user in present]
