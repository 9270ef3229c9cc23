"""The commands of seed 004."""

from typing import Final, Literal, NotRequired, TypedDict

from gateway.asyncapi.family import Frame
from gateway.asyncapi.fields import (
    AnyTextField,
    ClientMsgId,
    DataField,
    HistoryLimit,
    Id,
    MentionedUsers,
    ReactionKey,
    Seq,
    TextField,
    TokenText,
)


class MessageCommand(TypedDict):
    """Send a message. The sender's own copy of it, with its `client_msg_id`, is the acknowledgement.

    Sent again with the same `client_msg_id`, it is a retry, without a time limit: the sender gets the first response
    again, and no other client gets anything. With other content it is the error `id_reused`.
    """

    type: Literal["message"]
    text: TextField
    data: NotRequired[None]
    reply_to: NotRequired[Id | None]
    mentions: NotRequired[MentionedUsers | None]
    client_msg_id: NotRequired[ClientMsgId | None]


class DataMessageCommand(TypedDict):
    """Send a message with data of the application: a JSON object, which every client gets as it is."""

    type: Literal["message"]
    text: NotRequired[AnyTextField | None]
    data: DataField
    reply_to: NotRequired[Id | None]
    mentions: NotRequired[MentionedUsers | None]
    client_msg_id: NotRequired[ClientMsgId | None]


class EditMessageCommand(TypedDict):
    """Edit the text of one of the user's own messages; its data stay."""

    type: Literal["edit_message"]
    id: Id
    text: TextField
    data: NotRequired[None]
    client_msg_id: NotRequired[ClientMsgId | None]


class EditDataCommand(TypedDict):
    """Edit the text and the data of one of the user's own messages."""

    type: Literal["edit_message"]
    id: Id
    text: AnyTextField
    data: DataField
    client_msg_id: NotRequired[ClientMsgId | None]


class DeleteMessageCommand(TypedDict):
    """Delete one of the user's own messages."""

    type: Literal["delete_message"]
    id: Id
    client_msg_id: NotRequired[ClientMsgId | None]


class ReactCommand(TypedDict):
    """Add a reaction to any message of the chat, or remove the user's own; `reaction` is the response.

    If it is there already, or not there to remove, nothing is stored and only the sender gets a response.
    """

    type: Literal["react"]
    message_id: Id
    key: ReactionKey
    remove: NotRequired[bool | None]
    client_msg_id: NotRequired[ClientMsgId | None]


class TypingCommand(TypedDict):
    """Report that the user types, or has stopped. The others are notified at most every 2 s."""

    type: Literal["typing"]
    is_typing: bool


class ReadMessagesCommand(TypedDict):
    """Move the user's read position; without `seq`, to the last event sent to this socket. It never moves back."""

    type: Literal["read_messages"]
    seq: NotRequired[Seq | None]


class HistoryBeforeCommand(TypedDict):
    """Get the messages that were created before a seq; without one, the newest."""

    type: Literal["history"]
    before_seq: NotRequired[Seq | None]
    after_seq: NotRequired[None]
    limit: NotRequired[HistoryLimit]


class HistoryAfterCommand(TypedDict):
    """Get the events after a seq, each with the current state of its message."""

    type: Literal["history"]
    after_seq: Seq
    before_seq: NotRequired[None]
    limit: NotRequired[HistoryLimit]


class PresenceCommand(TypedDict):
    """Get the connected users."""

    type: Literal["presence"]


class PingCommand(TypedDict):
    """Check the connection; the response is `pong`."""

    type: Literal["ping"]


class RefreshCommand(TypedDict):
    """Continue with another token of the same user, before the present one expires; nothing else changes.

    A token that is not valid, or is another user's, is the error `forbidden`; at most one refresh a second.
    """

    type: Literal["refresh"]
    token: TokenText


class PlainText(TextField):
    """Send a message as plain text: a frame that is not a JSON object is a message with that text."""


DATA: Final = {"url": "https://example.com/tickets.pdf", "bytes": 48213}
REFRESH: Final = Frame(RefreshCommand, ({"type": "refresh", "token": "eyJ…"},))
COMMANDS: Final = (
    Frame(
        MessageCommand,
        (
            {"type": "message", "text": "Привет, как дела?"},
            {"type": "message", "text": "Привет, как дела?", "client_msg_id": "c-1"},
            {"type": "message", "text": "Хорошо!", "reply_to": 123, "mentions": [1], "client_msg_id": "c-3"},
        ),
    ),
    Frame(DataMessageCommand, ({"type": "message", "text": "Билеты", "data": DATA, "client_msg_id": "c-2"},)),
    Frame(EditMessageCommand, ({"type": "edit_message", "id": 123, "text": "Привет!"},)),
    Frame(EditDataCommand, ({"type": "edit_message", "id": 123, "text": "", "data": DATA},)),
    Frame(DeleteMessageCommand, ({"type": "delete_message", "id": 123},)),
    Frame(
        ReactCommand,
        (
            {"type": "react", "message_id": 123, "key": "👍"},
            {"type": "react", "message_id": 123, "key": "👍", "remove": True},
        ),
    ),
    Frame(TypingCommand, ({"type": "typing", "is_typing": True},)),
    Frame(ReadMessagesCommand, ({"type": "read_messages"}, {"type": "read_messages", "seq": 57})),
    Frame(HistoryBeforeCommand, ({"type": "history"}, {"type": "history", "before_seq": 57, "limit": 200})),
    Frame(HistoryAfterCommand, ({"type": "history", "after_seq": 0},)),
    Frame(PresenceCommand, ({"type": "presence"},)),
    Frame(PingCommand, ({"type": "ping"},)),
    REFRESH,
)
