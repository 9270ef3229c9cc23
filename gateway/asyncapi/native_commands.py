"""The commands of the native protocol: those of seed 004 with a `chat_id` each, and more.

Each may have an `id`, and then gets exactly one reply with the same `id`. An unknown key of a command is rejected with
its name (`invalid_field`); `hello` accepts any key.
"""

from dataclasses import replace
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from msgspec import Meta

from gateway.asyncapi.chat import EPOCH
from gateway.asyncapi.chat_commands import (
    DATA,
    DataMessageCommand,
    DeleteMessageCommand,
    EditDataCommand,
    EditMessageCommand,
    HistoryAfterCommand,
    HistoryBeforeCommand,
    MessageCommand,
    PingCommand,
    PresenceCommand,
    ReactCommand,
    ReadMessagesCommand,
    RefreshCommand,
    TypingCommand,
)
from gateway.asyncapi.family import Frame
from gateway.asyncapi.fields import AnyTextField, ClientMsgId, DataField, Id, Ref, Seq, TextField
from gateway.protocol.commands import MAX_USERS


class Traced(TypedDict):
    """The span of the client that the command belongs to (docs/traces.md)."""

    traceparent: NotRequired[Any]  # W3C Trace Context says to ignore what is no valid one


class Numbered(Traced):
    """The optional fields of every command."""

    id: NotRequired[Ref | None]


class AboutChat(Numbered):
    """The field of every command about a chat."""

    chat_id: Id


class HelloCommand(Numbered):
    """Get the client's identity; with `refresh`, ask for `token_expiring` too."""

    type: Literal["hello"]
    message: NotRequired[str]
    refresh: NotRequired[Any]  # any other value than true counts as none, since `hello` accepts any key


class NativePingCommand(PingCommand, Numbered):
    """Check the connection; the response is `pong`."""


class NativeRefreshCommand(RefreshCommand, Numbered):
    """Continue with another token of the same user, before the present one expires; nothing else changes.

    A token that is not valid, or is another user's, is the error `forbidden`; at most one refresh a second.
    """


class SubscribeCommand(AboutChat):
    """Subscribe to the pushes of a chat, after a replay of the events after `since`. A second one starts again."""

    type: Literal["subscribe"]
    since: NotRequired[Seq | str | None]


class UnsubscribeCommand(AboutChat):
    """End the subscription to a chat."""

    type: Literal["unsubscribe"]


class NativeMessageCommand(MessageCommand, AboutChat):
    """Send a message to a chat of which the user is a member; no subscription is needed.

    With an `id`, an ack confirms that it is stored. Sent again with the same `client_msg_id`, it is a retry of the same
    message, without a time limit.
    """


class NativeDataMessageCommand(DataMessageCommand, AboutChat):
    """Send a message with data of the application: a JSON object, which every client gets as it is."""


class NativeEditMessageCommand(AboutChat):
    """Edit the text of one of the user's own messages; its data stay."""

    type: Literal["edit_message"]
    message_id: Id
    text: TextField
    data: NotRequired[None]
    client_msg_id: NotRequired[ClientMsgId | None]


class NativeEditDataCommand(AboutChat):
    """Edit the text and the data of one of the user's own messages."""

    type: Literal["edit_message"]
    message_id: Id
    text: AnyTextField
    data: DataField
    client_msg_id: NotRequired[ClientMsgId | None]


class NativeDeleteMessageCommand(AboutChat):
    """Delete one of the user's own messages."""

    type: Literal["delete_message"]
    message_id: Id
    client_msg_id: NotRequired[ClientMsgId | None]


class NativeEditByIdCommand(EditMessageCommand, Traced):
    """The form of `/ws/chat/{chat_id}/`: `id` identifies the message and also the command."""

    chat_id: Id


class NativeEditDataByIdCommand(EditDataCommand, Traced):
    """The form of `/ws/chat/{chat_id}/`: `id` identifies the message and also the command."""

    chat_id: Id


class NativeDeleteByIdCommand(DeleteMessageCommand, Traced):
    """The form of `/ws/chat/{chat_id}/`: `id` identifies the message and also the command."""

    chat_id: Id


class NativeReactCommand(ReactCommand, AboutChat):
    """Add a reaction to any message of the chat, or remove the user's own; with an `id`, an ack follows.

    If it is there already, or not there to remove, nothing is stored, and the ack has `duplicate` and no `seq`.
    """


class NativeTypingCommand(TypingCommand, AboutChat):
    """Report that the user types, or has stopped. The others are notified at most every 2 s."""


class NativeReadMessagesCommand(ReadMessagesCommand, AboutChat):
    """Move the user's read position; with a subscription, without `seq`, to the last event sent to this socket."""


class NativeHistoryBeforeCommand(HistoryBeforeCommand, AboutChat):
    """Get the messages that were created before a seq; without one, the newest."""


class NativeHistoryAfterCommand(HistoryAfterCommand, AboutChat):
    """Get the events after a seq, each with the current state of its message."""


class NativePresenceCommand(PresenceCommand, AboutChat):
    """Get the users who are connected to a chat."""


class NativeUsersPresenceCommand(Numbered):
    """Get whether users are online, who share a chat with the caller; others are offline, and were never seen."""

    type: Literal["presence"]
    user_ids: Annotated[list[Id], Meta(min_length=1, max_length=MAX_USERS)]


class SubscribePresenceCommand(Numbered):
    """Get the same, and `user_presence` when it changes, at most once a second a user; an empty list ends it.

    Replaces the users of an earlier command.
    """

    type: Literal["subscribe_presence"]
    user_ids: Annotated[list[Id], Meta(max_length=MAX_USERS)]


_CLOSED: Final = (
    Frame(NativePingCommand, ({"type": "ping", "id": "p-1"},)),
    Frame(NativeRefreshCommand, ({"type": "refresh", "token": "eyJ…", "id": "r-1"},)),
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
    Frame(
        NativeDataMessageCommand,
        ({"type": "message", "chat_id": 1, "text": "Билеты", "data": DATA, "client_msg_id": "c-2", "id": 3},),
    ),
    Frame(
        NativeEditDataCommand,
        ({"type": "edit_message", "chat_id": 1, "message_id": 123, "text": "", "data": DATA, "id": 4},),
    ),
    Frame(NativeEditDataByIdCommand, ({"type": "edit_message", "chat_id": 1, "id": 123, "text": "", "data": DATA},)),
    Frame(NativeDeleteMessageCommand, ({"type": "delete_message", "chat_id": 1, "message_id": 123, "id": 5},)),
    Frame(NativeDeleteByIdCommand, ({"type": "delete_message", "chat_id": 1, "id": 123},)),
    Frame(
        NativeReactCommand,
        ({"type": "react", "chat_id": 1, "message_id": 123, "key": "👍", "remove": False, "id": 9},),
    ),
    Frame(NativeTypingCommand, ({"type": "typing", "chat_id": 1, "is_typing": True},)),
    Frame(NativeReadMessagesCommand, ({"type": "read_messages", "chat_id": 1, "seq": 57, "id": 6},)),
    Frame(NativeHistoryBeforeCommand, ({"type": "history", "chat_id": 1, "before_seq": 57, "id": 7},)),
    Frame(NativeHistoryAfterCommand, ({"type": "history", "chat_id": 1, "after_seq": 0, "limit": 200, "id": 7},)),
    Frame(NativePresenceCommand, ({"type": "presence", "chat_id": 1, "id": 8},)),
    Frame(SubscribePresenceCommand, ({"type": "subscribe_presence", "user_ids": [1, 2], "id": 10},)),
    Frame(NativeUsersPresenceCommand, ({"type": "presence", "user_ids": [1, 2], "id": 9},)),
)
COMMANDS: Final = (
    Frame(
        HelloCommand,
        ({"type": "hello", "message": "Привет, сервер!"}, {"type": "hello", "message": "Привет, сервер!", "id": 0}),
    ),
    *(replace(frame, is_closed=True) for frame in _CLOSED),
)
