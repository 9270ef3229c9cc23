"""`/sse/{client_id}`: the native protocol as an event stream, for reading."""

from typing import Final, TypedDict

from gateway.asyncapi.family import Access, Family, Frame
from gateway.asyncapi.fields import CloseCode
from gateway.asyncapi.native import NATIVE, PUSHES, NativeErrorAnswer, SubscribedAck, UsersPresenceAnswer
from gateway.protocol.commands import MAX_USERS
from gateway.protocol.stream_positions import MAX_CHATS

_REPLIES: Final = (SubscribedAck, UsersPresenceAnswer, NativeErrorAnswer)


class StreamClose(TypedDict):
    """The last event of a stream, which is named `close`: the close code of a socket, and its reason."""

    code: CloseCode
    reason: str


SSE: Final = Family(
    name="sse",
    address="/sse/{client_id}",
    title="Many chats as an event stream",
    description=(
        "`/ws/{client_id}` for reading, as `text/event-stream`: the subscriptions are in the URL, and commands are "
        "sent by `POST /api/v1/commands`. Each event without a name is one of these messages; its `id` is the position "
        "in all chats of the stream, from which a client resumes by `Last-Event-ID`. An error with a `chat_id` says "
        "that the chat is not open to the client. A token that is not valid is rejected with 401; without one the "
        "client is anonymous and reads public chats."
    ),
    access=Access.ANYBODY,
    commands=(),
    frames=(
        *(frame for frame in NATIVE.frames if frame.shape in _REPLIES),
        *PUSHES,
        Frame(StreamClose, ({"code": 4000, "reason": '{"retry_after_ms":700}'},)),
    ),
    closes=NATIVE.closes,
    parameters=NATIVE.parameters,
    takes_since=False,
    is_stream=True,
    query={
        "chats": f"Up to {MAX_CHATS} ids of chats, separated by commas, each alone or before a colon and the position "
        "from which to resume.",
        "last_event_id": "The `id` of the last event, of a client that cannot send the header `Last-Event-ID`.",
        "presence": f"Up to {MAX_USERS} ids of users whose presence the stream reports, separated by commas.",
        "refresh": "With `1`, `token_expiring` is sent before the token expires.",
    },
)
