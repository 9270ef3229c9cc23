"""Messages for chats, of the system or on behalf of users: what a service could post over HTTP."""

from dataclasses import dataclass
from typing import Final

from gateway.interfaces.users.senders import Senders, Unrepresentable
from gateway.rabbitmq.chat_message import ChatMessage, read_chat_message
from gateway.rabbitmq.decoder import DeadLetterReason
from storage.records import SYSTEM, EventKind, NewEvent, Person, Refusal

_PASSING: Final = frozenset({Refusal.UNAVAILABLE, Refusal.NOT_STORABLE})
_REASONS: Final = {
    Refusal.ID_REUSED: DeadLetterReason.ID_REUSED,
    Refusal.NOT_A_MEMBER: DeadLetterReason.NOT_A_MEMBER,
    Refusal.NO_SUCH_TARGET: DeadLetterReason.NO_SUCH_TARGET,
}


class ChatIntake:
    """Whoever may publish to its queue may write as the system in every chat, and as every user."""

    def __init__(self, senders: Senders, max_text_length: int) -> None:
        self._senders = senders
        self._max_text_length = max_text_length

    def read(self, body: bytes, message_id: str | None) -> "_InChat | DeadLetterReason":
        """The message, or why it can never be stored."""
        message = read_chat_message(body, message_id, self._max_text_length)
        return message if isinstance(message, DeadLetterReason) else _InChat(self, message)

    async def sender(self, name: str | None) -> Person | DeadLetterReason:
        """The user of this name; the system if there is none.

        Raises: StorageUnavailable.
        """
        if name is None:
            return SYSTEM
        sender = (await self._senders.find([name]))[name]
        return DeadLetterReason(sender.fault.value) if isinstance(sender, Unrepresentable) else sender


@dataclass(frozen=True, slots=True)
class _InChat:
    intake: ChatIntake
    message: ChatMessage

    async def event(self) -> NewEvent | DeadLetterReason:
        message = self.message
        sender = await self.intake.sender(message.on_behalf_of)
        if isinstance(sender, DeadLetterReason):
            return sender
        return NewEvent(
            message.chat_id,
            sender,
            message.client_msg_id,
            EventKind.MESSAGE,
            message.text,
            data=message.data,
            reply_to=message.reply_to,
            mentions=message.mentions,
        )

    def reason(self, refusal: Refusal) -> DeadLetterReason | None:
        return None if refusal in _PASSING else _REASONS.get(refusal, DeadLetterReason.REJECTED)
