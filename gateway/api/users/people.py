"""What users and services decide about people over HTTP: whom a user blocks, and who is staff."""

import logging
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors
from gateway.api.schemas import BlockList, answer
from gateway.http.parameters import path_id
from gateway.http.problems import not_found
from gateway.interfaces.rights import Contacts, Staff
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys
from storage.errors import UnknownUser

logger = logging.getLogger("gateway.http")


class PeopleRoutes:
    """`/api/v1/me/blocks`, `/api/v1/me/blocks/{user_id}` and `/api/v1/users/{user_id}/staff`."""

    def __init__(self, actors: Actors, service_keys: ServiceKeys, contacts: Contacts, staff: Staff) -> None:
        self._actors = actors
        self._service_keys = service_keys
        self._contacts = contacts
        self._staff = staff

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/me/blocks", GET=self._blocks),
            api_resource("/api/v1/me/blocks/{user_id}", PUT=self._block, DELETE=self._unblock),
            api_resource("/api/v1/users/{user_id}/staff", PUT=self._make_staff, DELETE=self._end_staff),
        ]

    @operation(
        "List the users whom the caller has blocked.", Audience.USER_OR_SERVICE, {200: BlockList}, scope=Scope.USERS
    )
    async def _blocks(self, request: Request) -> Response:
        person, _ = await self._actors.user(request, self._blocks)
        return answer(BlockList(user_ids=await self._contacts.blocked_by(person.id)))

    @operation(
        "Block a user: they cannot add the caller to chats, nor open a direct chat with the caller.",
        Audience.USER_OR_SERVICE,
        {204: None},
        {404: "not_found", 409: "conflict"},
        details="In an existing direct chat of the two the blocked user can no longer write; other chats stay as they "
        "are. The response is the same for an id that no user has; the blocked "
        "user is not notified. A user can block 1,000 others (409 beyond).",
        scope=Scope.USERS,
    )
    async def _block(self, request: Request) -> Response:
        person, _ = await self._actors.user(request, self._block)
        await self._contacts.block(person.id, path_id(request, "user_id"))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @operation("Remove a block.", Audience.USER_OR_SERVICE, {204: None}, {404: "not_found"}, scope=Scope.USERS)
    async def _unblock(self, request: Request) -> Response:
        person, _ = await self._actors.user(request, self._unblock)
        await self._contacts.unblock(person.id, path_id(request, "user_id"))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @operation(
        "Make a user staff.",
        Audience.SERVICE,
        {204: None},
        {404: "not_found"},
        details="Staff may create service and support chats, give the roles `master` and `support` in their own chats, "
        "and add anyone whom `ALLOW_ADDING` forbids to others.",
        scope=Scope.USERS,
    )
    async def _make_staff(self, request: Request) -> Response:
        service = self._service_keys.require(request, self._make_staff).name
        return await self._set_staff(request, service, is_staff=True)

    @operation(
        "End that a user is staff; their chats and roles stay.",
        Audience.SERVICE,
        {204: None},
        {404: "not_found"},
        scope=Scope.USERS,
    )
    async def _end_staff(self, request: Request) -> Response:
        service = self._service_keys.require(request, self._end_staff).name
        return await self._set_staff(request, service, is_staff=False)

    async def _set_staff(self, request: Request, service: str, *, is_staff: bool) -> Response:
        user_id = path_id(request, "user_id")
        try:
            await self._staff.set_staff(user_id, is_staff)
        except UnknownUser:
            raise not_found() from None
        event = "staff_added" if is_staff else "staff_removed"
        logger.info(event, extra={"fields": {"user_id": user_id, "service": service}})
        return Response(status_code=HTTPStatus.NO_CONTENT)
