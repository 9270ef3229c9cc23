"""`POST /message` of seed 002: a message for a room, durable when it is answered, whoever listens."""

import time
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from auth.operation import Caller, operation
from auth.service_keys import ServiceKeys
from gateway.codes import ErrorCode
from gateway.errors import QueueUnavailable
from gateway.http.answers import answer
from gateway.http.bodies import read_body
from gateway.http.message_fields import IDEMPOTENCY_KEY, Text, checked_text, id_reused, idempotency_key
from gateway.http.resources import resource
from gateway.http.shapes import RoomMessageAccepted
from gateway.messages import MAX_CLIENT_MSG_ID, check_client_msg_id, new_client_msg_id
from gateway.metrics.clients import ClientMetrics
from gateway.problems import Problem, forbidden, invalid_field, unavailable
from gateway.rooms import MAX_ROOM_NAME, RoomInbox, RoomMessage, is_room_name
from storage.errors import StorageUnavailable
from storage.records import Refusal


class RoomMessageBody(Struct):
    """A message to send; what its content must be is said by `check_text`, as everywhere."""

    room_id: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_ROOM_NAME})]
    content: Text = ""
    client_msg_id: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_CLIENT_MSG_ID})] | None = (
        None
    )


class RoomMessageRoutes:
    """`/message`. Without `is_open`, callers need a service key; texts have at most `max_text_length` code points."""

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
        Caller.GUEST,
        {200: RoomMessageAccepted},
        {409: "id_reused", 422: "empty_text, text_too_long, invalid_text"},
        parameters=(IDEMPOTENCY_KEY,),
        body=RoomMessageBody,
        example={"room_id": "room1", "content": "Hello, Room!"},
        details="It is durable when this is answered, whoever listens; the room is made if need be.",
    )
    async def _post(self, request: Request) -> Response:
        started = time.perf_counter()
        try:
            message = await self._read(request)
            await self._hand_in(message)
        except Problem as problem:
            self._metrics.refused("http", "room_message", problem.code)
            raise
        except (StorageUnavailable, QueueUnavailable):
            self._metrics.refused("http", "room_message", ErrorCode.UNAVAILABLE)
            raise
        self._metrics.handled("http", "room_message", time.perf_counter() - started)
        return answer({"status": f"Message sent to room: {message.room}"})

    async def _read(self, request: Request) -> RoomMessage:
        """The message in the request.

        Raises: Problem.
        """
        if not (self._is_open or self._service_keys.has(request)):
            raise forbidden("A service key is needed (X-Service-Key).")
        key = idempotency_key(request)
        body = await read_body(request, RoomMessageBody)
        if not is_room_name(body.room_id):
            raise invalid_field(f"room_id has 1 to {MAX_ROOM_NAME} characters that can be stored.")
        text = checked_text(body.content, self._max_text_length)
        given = {given for given in (key, body.client_msg_id) if given is not None}
        if len(given) > 1 or not all(map(check_client_msg_id, given)):
            raise invalid_field(f"client_msg_id has 1 to {MAX_CLIENT_MSG_ID} characters, those of Idempotency-Key.")
        return RoomMessage(body.room_id, text, given.pop() if given else new_client_msg_id())

    async def _hand_in(self, message: RoomMessage) -> None:
        """Return once the message is durable.

        Raises: Problem, StorageUnavailable, QueueUnavailable.
        """
        refusal = await self._inbox.accept(message)
        if refusal is Refusal.ID_REUSED:
            raise id_reused()
        if refusal is not None:
            raise unavailable()
