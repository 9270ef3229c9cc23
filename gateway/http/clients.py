"""Connected clients over HTTP, for other services: whose they are, and a word to them wherever they are."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.operation import Caller, operation
from auth.service_keys import ServiceKeys
from gateway.clients import Clients
from gateway.directs import Directs
from gateway.http.answers import answer
from gateway.http.bodies import invalid_text, read_body
from gateway.http.parameters import path_id
from gateway.http.shapes import ClientList, Sent
from gateway.path_segment import ANY_TEXT, path_segment
from gateway.problems import forbidden, invalid_field

_CLIENTS = "/api/v1/clients/"
_SEND = "/send"


class DirectBody(msgspec.Struct):
    """What to say: any JSON, which goes to the clients as it is."""

    data: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"description": "any JSON"})]


class ClientRoutes:
    """`/api/v1/users/{user_id}/clients`, `…/send` and `/api/v1/clients/{client_id}/send`."""

    def __init__(self, service_keys: ServiceKeys, clients: Clients, directs: Directs) -> None:
        self._service_keys = service_keys
        self._clients = clients
        self._directs = directs

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            Route("/api/v1/users/{user_id}/clients", self._list, methods=["GET"]),
            Route("/api/v1/users/{user_id}" + _SEND, self._send_to_user, methods=["POST"]),
            Route(f"{_CLIENTS}{{client_id:{ANY_TEXT}}}{_SEND}", self._send_to_client, methods=["POST"]),
        ]

    @operation("Which clients of a user are connected.", Caller.SERVICE, {200: ClientList}, {404: "not_found"})
    async def _list(self, request: Request) -> Response:
        self._check_key(request)
        clients = [
            {
                "client_id": client.client_id,
                "node": client.node_id,
                "connected_at": datetime.fromtimestamp(client.connected_at, UTC),
            }
            for client in await self._clients.of_user(path_id(request, "user_id"))
        ]
        return answer({"clients": clients})

    @operation(
        "Say something to all of a user's clients, wherever they are connected.",
        Caller.SERVICE,
        {202: Sent},
        {404: "not_found", 422: "invalid_text"},
        body=DirectBody,
        example={"data": {"any": "JSON"}},
        details='It arrives as `{"type": "direct", "data": …}`.',
    )
    async def _send_to_user(self, request: Request) -> Response:
        self._check_key(request)
        user_id = path_id(request, "user_id")
        return _sent(await self._directs.to_user(user_id, await _read_json(request)))

    @operation(
        "Say something to every client of this name, wherever it is connected.",
        Caller.SERVICE,
        {202: Sent},
        {404: "not_found", 422: "invalid_text"},
        body=DirectBody,
        example={"data": {"any": "JSON"}},
    )
    async def _send_to_client(self, request: Request) -> Response:
        self._check_key(request)
        client_id = path_segment(request, _CLIENTS, _SEND)
        return _sent(await self._directs.to_client(client_id, await _read_json(request)))

    def _check_key(self, request: Request) -> None:
        if not self._service_keys.has(request):
            raise forbidden("A service key is needed (X-Service-Key).")


async def _read_json(request: Request) -> bytes:
    """The `data` of the body, checked to be what every client can read."""
    json = bytes((await read_body(request, DirectBody)).data)
    try:
        orjson.loads(json)
    except orjson.JSONDecodeError as error:
        if "surrogate" in str(error):
            raise invalid_text() from None
        raise invalid_field("data must be JSON of a usual depth, with numbers of a usual size.") from None
    return json


def _sent(sockets: int) -> Response:
    """Accepted: that a socket was addressed does not mean that its client has read it."""
    return answer({"sockets": sockets}, HTTPStatus.ACCEPTED)
