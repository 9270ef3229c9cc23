"""`POST /message` of seed 002: a message for a room, which is durable before the response, even without listeners."""

import time
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.schemas import RoomMessageAccepted, answer
from gateway.http.command_count import counted
from gateway.http.message_input import IDEMPOTENCY_KEY, MessageText, checked_text, idempotency_key
from gateway.http.problems import invalid_field, refused
from gateway.interfaces.rooms import MAX_ROOM_NAME, RoomInbox, RoomMessage, is_room_name
from gateway.metrics.clients import ClientMetrics
from gateway.protocol.validation import MAX_CLIENT_MSG_ID, check_client_msg_id, new_client_msg_id
from httpapi.body import read_json
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import resource
from httpapi.service_keys import ServiceKeys


class RoomMessageBody(Struct):
    """A message to send. `check_text` validates its content, as everywhere."""

    room_id: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_ROOM_NAME})]
    content: MessageText = ""
    client_msg_id: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_CLIENT_MSG_ID})] | None = (
        None
    )


class RoomMessageRoutes:
    """`/message`. Callers need a service key unless `is_open`; texts have at most `max_text_length` code points."""

    def __init__(
        self,
        inbox: RoomInbox,
        service_keys: ServiceKeys,
        metrics: ClientMetrics,
        max_text_length: int,
        *,
        is_open: bool,
    ) -> None:
        self._inbox = inbox
        self._service_keys = service_keys
        self._metrics = metrics
        self._max_text_length = max_text_length
        self._is_open = is_open

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [resource("/message", POST=self._post)]

    @operation(
        "Send a message to everyone in a room.",
        Audience.GUEST,
        {200: RoomMessageAccepted},
        {409: "id_reused", 422: "empty_text, text_too_long, invalid_text"},
        parameters=(IDEMPOTENCY_KEY,),
        body=RoomMessageBody,
        example={"room_id": "room1", "content": "Hello, Room!"},
        details="The message is stored durably before the response, even if nobody is connected. "
        "Creates the room if needed.",
        scope=Scope.MESSAGES,
    )
    async def _post(self, request: Request) -> Response:
        started = time.perf_counter()
        with counted(self._metrics, "room_message", started):
            message = await self._read(request)
            await self._hand_in(message)
        return answer({"status": f"Message sent to room: {message.room}"})

    async def _read(self, request: Request) -> RoomMessage:
        """The message in the request.

        Raises: Problem.
        """
        if not self._is_open:
            self._service_keys.require(request, self._post)
        key = idempotency_key(request)
        body = await read_json(request, RoomMessageBody)
        if not is_room_name(body.room_id):
            raise invalid_field(f"room_id has 1 to {MAX_ROOM_NAME} characters that can be stored.")
        text = checked_text(body.content, self._max_text_length)
        ids = {msg_id for msg_id in (key, body.client_msg_id) if msg_id is not None}
        if len(ids) > 1 or not all(map(check_client_msg_id, ids)):
            raise invalid_field(f"client_msg_id has 1 to {MAX_CLIENT_MSG_ID} characters, those of Idempotency-Key.")
        return RoomMessage(body.room_id, text, ids.pop() if ids else new_client_msg_id())

    async def _hand_in(self, message: RoomMessage) -> None:
        """Store the message; returns once it is durable.

        Raises: Problem, StorageUnavailable, QueueUnavailable.
        """
        refusal = await self._inbox.accept(message)
        if refusal is not None:
            raise refused(refusal)
