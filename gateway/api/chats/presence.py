"""The presence of a chat over HTTP."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors, see_chat
from gateway.api.schemas import PresentList, answer
from gateway.dialects.chat import present_object
from gateway.interfaces.membership import Memberships
from gateway.node.present_people import PresentPeople
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource


class PresenceRoutes:
    """`/api/v1/chats/{chat_id}/presence`."""

    def __init__(self, actors: Actors, membership: Memberships, presence: PresentPeople) -> None:
        self._actors = actors
        self._membership = membership
        self._presence = presence

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [api_resource("/api/v1/chats/{chat_id}/presence", GET=self._show)]

    @operation(
        "List the members who are connected, on any node.",
        Audience.USER_OR_SERVICE,
        {200: PresentList},
        {404: "not_found"},
        scope=Scope.CHATS,
    )
    async def _show(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._show)
        chat_id = await self._actors.chat_id(request)
        await see_chat(self._membership, chat_id, actor.user_id)
        members = await self._presence.members(chat_id)
        return answer({"members": [present_object(present) for present in members]})
