"""Keys: the names by which applications find their chats. A key never changes and belongs to one chat."""

from msgspec.structs import replace
from tortoise.exceptions import IntegrityError

from storage.chat_records import MAX_KEY
from storage.database.database import Database
from storage.errors import KeyTaken
from storage.models import ChatKey
from storage.records import Chat
from storage.repositories.chat_pages import ChatPages


class ChatKeys:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database, pages: ChatPages) -> None:
        self._database = database
        self._pages = pages

    async def id_of(self, key: str) -> int | None:
        """The chat with this key, or None."""
        if not 0 < len(key) <= MAX_KEY or "\x00" in key:
            return None
        rows = await self._database.fetch("SELECT chat_id FROM chat_keys WHERE key = $1", key)
        return rows[0]["chat_id"] if rows else None

    async def chat(self, key: str, user_id: int | None) -> Chat | None:
        """The chat with this key, or None.

        Raises: KeyTaken if this user may not see it.
        """
        chat_id = await self.id_of(key)
        if chat_id is None:
            return None
        chat = await self._pages.one(chat_id, user_id)
        if chat is None:
            raise KeyTaken
        return chat

    @staticmethod
    async def give(chat_id: int, key: str) -> None:
        """Store the key of a chat; call it in a transaction.

        Raises: IntegrityError if the key is taken.
        """
        await ChatKey.create(key=key, chat_id=chat_id)

    async def settle(self, chat: Chat, key: str | None) -> Chat:
        """An existing chat, which gets this key if it has none.

        Raises: KeyTaken if the chat has another key, or another chat this one.
        """
        if key is None or chat.key == key:
            return chat
        if chat.key is not None:
            raise KeyTaken
        try:
            async with self._database.transaction():
                await self.give(chat.id, key)
        except IntegrityError:
            if await self.id_of(key) != chat.id:
                raise KeyTaken from None
        return replace(chat, key=key)
