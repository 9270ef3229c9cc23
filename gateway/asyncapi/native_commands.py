"""What clients say in the native protocol: seed 004's words with the chat that each is about, and more.

Each may bear an `id`, and then gets exactly one answer, which bears it too.
"""

from typing import Final, Literal, NotRequired, TypedDict

from gateway.asyncapi.chat import EPOCH
from gateway.asyncapi.chat_commands import (
    DeleteMessageCommand,
    EditMessageCommand,
    HistoryAfterCommand,
    HistoryBeforeCommand,
    MessageCommand,
    PingCommand,
    PresenceCommand,
    ReadMessagesCommand,
    TypingCommand,
)
from gateway.asyncapi.family import Frame
from gateway.asyncapi.fields import ClientMsgId, Id, Ref, Seq, Text


class Numbered(TypedDict):
    """What every command may bear."""

    id: NotRequired[Ref | None]


class AboutChat(Numbered):
    """What every command about a chat bears."""

    chat_id: Id


class HelloCommand(Numbered):
    """Ask who one is here."""

    type: Literal["hello"]
    message: NotRequired[str]


class NativePingCommand(PingCommand, Numbered):
    """Ask for a sign of life."""


class SubscribeCommand(AboutChat):
    """Ask for what is pushed in a chat, and first for what came after `since`. To ask again is to begin anew."""

    type: Literal["subscribe"]
    since: NotRequired[Seq | str | None]


class UnsubscribeCommand(AboutChat):
    """Ask for no more of it."""

    type: Literal["unsubscribe"]


class NativeMessageCommand(MessageCommand, AboutChat):
    """Say something in a chat that one is a member of, subscribed or not. With an `id`, an ack says that it is stored.

    Sent again with the same `client_msg_id`, it is the same message for ever.
    """


class NativeEditMessageCommand(AboutChat):
    """Give one of one's own messages another text."""

    type: Literal["edit_message"]
    message_id: Id
    text: Text
    client_msg_id: NotRequired[ClientMsgId | None]


class NativeDeleteMessageCommand(AboutChat):
    """Take back one of one's own messages."""

    type: Literal["delete_message"]
    message_id: Id
    client_msg_id: NotRequired[ClientMsgId | None]


class NativeEditByIdCommand(EditMessageCommand):
    """The same as in seed 004: `id` names the message, and the command too."""

    chat_id: Id


class NativeDeleteByIdCommand(DeleteMessageCommand):
    """The same as in seed 004: `id` names the message, and the command too."""

    chat_id: Id


class NativeTypingCommand(TypingCommand, AboutChat):
    """Say that one types, or has stopped. The others are told at most every 2 s."""


class NativeReadMessagesCommand(ReadMessagesCommand, AboutChat):
    """Move one's read position; `seq` may lack where one is subscribed: then to the last that was written here."""


class NativeHistoryBeforeCommand(HistoryBeforeCommand, AboutChat):
    """Ask for messages by their creation, those before a seq; without one the newest."""


class NativeHistoryAfterCommand(HistoryAfterCommand, AboutChat):
    """Ask for the events after a seq, each with the present state of its message."""


class NativePresenceCommand(PresenceCommand, AboutChat):
    """Ask who is connected to a chat."""


COMMANDS: Final = (
    Frame(
        HelloCommand,
        ({"type": "hello", "message": "Привет, сервер!"}, {"type": "hello", "message": "Привет, сервер!", "id": 0}),
    ),
    Frame(NativePingCommand, ({"type": "ping", "id": "p-1"},)),
    Frame(
        SubscribeCommand,
        (
            {"type": "subscribe", "chat_id": 1, "id": 1},
            {"type": "subscribe", "chat_id": 1, "since": f"{EPOCH}:57", "id": 1},
        ),
    ),
    Frame(UnsubscribeCommand, ({"type": "unsubscribe", "chat_id": 1, "id": 2},)),
    Frame(
        NativeMessageCommand,
        ({"type": "message", "chat_id": 1, "text": "Привет, как дела?", "client_msg_id": "c-1", "id": 3},),
    ),
    Frame(
        NativeEditMessageCommand,
        ({"type": "edit_message", "chat_id": 1, "message_id": 123, "text": "Привет!", "id": 4},),
    ),
    Frame(NativeEditByIdCommand, ({"type": "edit_message", "chat_id": 1, "id": 123, "text": "Привет!"},)),
    Frame(NativeDeleteMessageCommand, ({"type": "delete_message", "chat_id": 1, "message_id": 123, "id": 5},)),
    Frame(NativeDeleteByIdCommand, ({"type": "delete_message", "chat_id": 1, "id": 123},)),
    Frame(NativeTypingCommand, ({"type": "typing", "chat_id": 1, "is_typing": True},)),
    Frame(NativeReadMessagesCommand, ({"type": "read_messages", "chat_id": 1, "seq": 57, "id": 6},)),
    Frame(NativeHistoryBeforeCommand, ({"type": "history", "chat_id": 1, "before_seq": 57, "id": 7},)),
    Frame(NativeHistoryAfterCommand, ({"type": "history", "chat_id": 1, "after_seq": 0, "limit": 200, "id": 7},)),
    Frame(NativePresenceCommand, ({"type": "presence", "chat_id": 1, "id": 8},)),
)
