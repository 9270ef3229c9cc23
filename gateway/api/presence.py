"""The presence of a chat over HTTP."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import see_chat
from gateway.api.schemas import PresentList, answer
from gateway.authentication.authenticator import Authenticator
from gateway.dialects.chat import present_object
from gateway.http.parameters import path_id
from gateway.interfaces.membership import Memberships
from gateway.interfaces.presence import Presence
from httpapi.operation import Audience, operation
from httpapi.resource import api_resource


class PresenceRoutes:
    """`/api/v1/chats/{chat_id}/presence`."""

    def __init__(self, identity: Authenticator, membership: Memberships, presence: Presence) -> None:
        self._identity = identity
        self._membership = membership
        self._presence = presence

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [api_resource("/api/v1/chats/{chat_id}/presence", GET=self._show)]

    @operation(
        "List the members who are connected, on any node.", Audience.USER, {200: PresentList}, {404: "not_found"}
    )
    async def _show(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        chat_id = path_id(request, "chat_id")
        await see_chat(self._membership, chat_id, caller.person.id)
        members = await self._presence.members(chat_id)
        return answer({"members": [present_object(present) for present in members]})
