"""What clients say in the words of seed 004."""

from typing import Final, Literal, NotRequired, TypedDict

from gateway.asyncapi.family import Frame
from gateway.asyncapi.fields import ClientMsgId, Id, Limit, Seq, Text


class MessageCommand(TypedDict):
    """Say something. One's own copy of it, with its `client_msg_id`, is the acknowledgement.

    Sent again with the same `client_msg_id`, it is the same message for ever: the first answer comes again, and nobody
    else hears of it. With other content it is the error `id_reused`.
    """

    type: Literal["message"]
    text: Text
    client_msg_id: NotRequired[ClientMsgId | None]


class EditMessageCommand(TypedDict):
    """Give one of one's own messages another text."""

    type: Literal["edit_message"]
    id: Id
    text: Text
    client_msg_id: NotRequired[ClientMsgId | None]


class DeleteMessageCommand(TypedDict):
    """Take back one of one's own messages."""

    type: Literal["delete_message"]
    id: Id
    client_msg_id: NotRequired[ClientMsgId | None]


class TypingCommand(TypedDict):
    """Say that one types, or has stopped. The others are told at most every 2 s."""

    type: Literal["typing"]
    is_typing: bool


class ReadMessagesCommand(TypedDict):
    """Move one's read position; without `seq` to the last that was written to this socket. It never goes back."""

    type: Literal["read_messages"]
    seq: NotRequired[Seq | None]


class HistoryBeforeCommand(TypedDict):
    """Ask for messages by their creation, those before a seq; without one the newest."""

    type: Literal["history"]
    before_seq: NotRequired[Seq | None]
    after_seq: NotRequired[None]
    limit: NotRequired[Limit]


class HistoryAfterCommand(TypedDict):
    """Ask for the events after a seq, each with the present state of its message."""

    type: Literal["history"]
    after_seq: Seq
    before_seq: NotRequired[None]
    limit: NotRequired[Limit]


class PresenceCommand(TypedDict):
    """Ask who is connected."""

    type: Literal["presence"]


class PingCommand(TypedDict):
    """Ask for a sign of life."""

    type: Literal["ping"]


class PlainText(Text):
    """Say something: what is no JSON object is a message of that text."""


COMMANDS: Final = (
    Frame(
        MessageCommand,
        (
            {"type": "message", "text": "Привет, как дела?"},
            {"type": "message", "text": "Привет, как дела?", "client_msg_id": "c-1"},
        ),
    ),
    Frame(EditMessageCommand, ({"type": "edit_message", "id": 123, "text": "Привет!"},)),
    Frame(DeleteMessageCommand, ({"type": "delete_message", "id": 123},)),
    Frame(TypingCommand, ({"type": "typing", "is_typing": True},)),
    Frame(ReadMessagesCommand, ({"type": "read_messages"}, {"type": "read_messages", "seq": 57})),
    Frame(HistoryBeforeCommand, ({"type": "history"}, {"type": "history", "before_seq": 57, "limit": 200})),
    Frame(HistoryAfterCommand, ({"type": "history", "after_seq": 0},)),
    Frame(PresenceCommand, ({"type": "presence"},)),
    Frame(PingCommand, ({"type": "ping"},)),
)
