"""Who is connected to a chat, over HTTP."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.operation import Caller, operation
from gateway.http.answers import answer
from gateway.http.parameters import path_id
from gateway.http.shapes import PresentList
from gateway.http.sight import see_chat
from gateway.identity import Identity
from gateway.membership import Membership
from gateway.messages import present_object
from gateway.presence import Presence


class PresenceRoutes:
    """`/api/v1/chats/{chat_id}/presence`."""

    def __init__(self, identity: Identity, membership: Membership, presence: Presence) -> None:
        self._identity = identity
        self._membership = membership
        self._presence = presence

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [Route("/api/v1/chats/{chat_id}/presence", self._show, methods=["GET"])]

    @operation("Who is connected to a chat, over all nodes.", Caller.USER, {200: PresentList}, {404: "not_found"})
    async def _show(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        chat_id = path_id(request, "chat_id")
        await see_chat(self._membership, chat_id, caller.person.id)
        members = await self._presence.members(chat_id)
        return answer({"members": [present_object(present) for present in members]})
