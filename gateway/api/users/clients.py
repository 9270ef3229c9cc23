"""Connected clients over HTTP, for other services: list those of a user, and send to them on any node."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.schemas import ClientList, Sent, answer
from gateway.errors import SeveralOwners
from gateway.http.parameters import ANY_TEXT, path_id, path_segment
from gateway.http.problems import Problem
from gateway.interfaces.client_registry import ClientRegistry
from gateway.node.direct_push import DirectPusher
from gateway.protocol.codes import ErrorCode
from gateway.protocol.ids import MAX_ID
from httpapi.body import read_json
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys

_CLIENTS = "/api/v1/clients/"
_SEND = "/send"


class DirectBody(msgspec.Struct, forbid_unknown_fields=True):
    """The payload: any JSON, which is sent to the clients unchanged."""

    data: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"description": "any JSON"})]


class ClientBody(DirectBody, forbid_unknown_fields=True):
    """The payload, and whose clients it is for: a user's, or the anonymous ones (null)."""

    user_id: Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)] | msgspec.UnsetType | None = msgspec.UNSET


class ClientRoutes:
    """`/api/v1/users/{user_id}/clients`, `…/send` and `/api/v1/clients/{client_id}/send`."""

    def __init__(self, service_keys: ServiceKeys, clients: ClientRegistry, directs: DirectPusher) -> None:
        self._service_keys = service_keys
        self._clients = clients
        self._directs = directs

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/users/{user_id}/clients", GET=self._list),
            api_resource("/api/v1/users/{user_id}" + _SEND, POST=self._send_to_user),
            api_resource(f"{_CLIENTS}{{client_id:{ANY_TEXT}}}{_SEND}", POST=self._send_to_client),
        ]

    @operation(
        "List the connected clients of a user.",
        Audience.SERVICE,
        {200: ClientList},
        {404: "not_found"},
        scope=Scope.USERS,
    )
    async def _list(self, request: Request) -> Response:
        self._service_keys.require(request, self._list)
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
        "Send a payload to all connected clients of a user, on any node.",
        Audience.SERVICE,
        {202: Sent},
        {404: "not_found", 422: "invalid_text"},
        body=DirectBody,
        example={"data": {"any": "JSON"}},
        details='It arrives as `{"type": "direct", "data": …}`.',
        scope=Scope.MESSAGES,
    )
    async def _send_to_user(self, request: Request) -> Response:
        self._service_keys.require(request, self._send_to_user)
        user_id = path_id(request, "user_id")
        return _sent(await self._directs.to_user(user_id, bytes((await read_json(request, DirectBody)).data)))

    @operation(
        "Send a payload to the connections of a user with this client id, on any node.",
        Audience.SERVICE,
        {202: Sent},
        {404: "not_found", 409: "conflict", 422: "invalid_text"},
        body=ClientBody,
        example={"data": {"any": "JSON"}},
        details="Anyone may connect with any client id, so a payload goes to one owner's connections only. Without "
        "`user_id` it is the one user who has connected with this id; if several have, the response is 409. Name the "
        "user to send nothing to anyone else. Anonymous connections receive only what is sent with `user_id: null`.",
        scope=Scope.MESSAGES,
    )
    async def _send_to_client(self, request: Request) -> Response:
        self._service_keys.require(request, self._send_to_client)
        client_id = path_segment(request, _CLIENTS, _SEND)
        body = await read_json(request, ClientBody)
        data = bytes(body.data)
        if body.user_id is not msgspec.UNSET:
            return _sent(await self._directs.to_client(client_id, body.user_id, data))
        try:
            return _sent(await self._directs.to_owner(client_id, data))
        except SeveralOwners:
            detail = "Several users are connected with this client id. Name one in user_id."
            raise Problem(HTTPStatus.CONFLICT, ErrorCode.CONFLICT, detail) from None


def _sent(sockets: int) -> Response:
    """202, since the number of addressed sockets does not say that their clients have read the payload."""
    return answer({"sockets": sockets}, HTTPStatus.ACCEPTED)
