"""Reactions to messages over HTTP: add one, or remove one's own. Both can be repeated without effect."""

import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors, see_chat
from gateway.api.messages import Poster
from gateway.api.schemas import ReactionObject, answer
from gateway.dialects.chat import reaction_object
from gateway.http.command_count import counted
from gateway.http.parameters import ANY_TEXT, path_id, path_segment
from gateway.http.problems import invalid_field, refused, too_many_commands
from gateway.interfaces.membership import Memberships
from gateway.interfaces.rate_limits import RateLimited
from gateway.metrics.clients import ClientMetrics
from gateway.protocol.validation import check_reaction_key, new_client_msg_id
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from storage.reaction_records import MAX_REACTION_KEY, Reaction, Unchanged, reaction_of, reaction_text
from storage.records import ChatEvent, Committed, EventKind, NewEvent, Person, Quota, Refusal

_COMMAND: Final = "react"
_STATUSES: Final = {
    403: "forbidden",
    404: "not_found",
    409: "reaction_limit",
    422: "invalid_field",
    429: "rate_limited",
}


class ReactionRoutes:
    """`/api/v1/chats/{chat_id}/messages/{message_id}/reactions/{key}`."""

    def __init__(self, actors: Actors, membership: Memberships, poster: Poster, metrics: ClientMetrics) -> None:
        self._actors = actors
        self._membership = membership
        self._poster = poster
        self._metrics = metrics

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        path = f"/api/v1/chats/{{chat_id}}/messages/{{message_id}}/reactions/{{key:{ANY_TEXT}}}"
        return [api_resource(path, PUT=self._add, DELETE=self._remove)]

    @operation(
        "Add a reaction to a message.",
        Audience.USER_OR_SERVICE,
        {200: ReactionObject},
        _STATUSES,
        details="The key is 1 to 32 characters, percent-encoded, such as an emoji. A message has at most 20 different "
        "keys, and a user adds at most 5 to one. Everyone in the chat is notified, unless the reaction was there.",
        scope=Scope.MESSAGES,
    )
    async def _add(self, request: Request) -> Response:
        person, actor = await self._actors.user(request, self._add)
        return await self._react(request, person, is_limited=actor.service is None, removed=False)

    @operation(
        "Remove one's own reaction to a message.",
        Audience.USER_OR_SERVICE,
        {200: ReactionObject},
        {code: text for code, text in _STATUSES.items() if code != 409},
        details="Everyone in the chat is notified, unless the reaction was not there.",
        scope=Scope.MESSAGES,
    )
    async def _remove(self, request: Request) -> Response:
        person, actor = await self._actors.user(request, self._remove)
        return await self._react(request, person, is_limited=actor.service is None, removed=True)

    async def _react(self, request: Request, person: Person, *, is_limited: bool, removed: bool) -> Response:
        started = time.perf_counter()
        chat_id, message_id = await self._actors.chat_id(request), path_id(request, "message_id")
        text = reaction_text(_key(request), removed=removed)
        event = NewEvent(chat_id, person, new_client_msg_id(), EventKind.REACTION, text, message_id)
        with counted(self._metrics, _COMMAND, started):
            response = await self._store(event, is_limited)
        return answer(response)

    async def _store(self, event: NewEvent, is_limited: bool) -> dict[str, object]:
        outcome = await self._poster.post(event, is_limited=is_limited)
        match outcome:
            case Committed(event=ChatEvent(message_id=message_id, reaction=Reaction() as reaction, seq=seq)):
                return reaction_object(message_id, reaction) | {"seq": seq}
            case Unchanged():
                return reaction_object(outcome.message_id, reaction_of(event.text, event.sender.id, outcome.counts))
            case RateLimited(retry_after_s=wait_s):
                self._metrics.quota_exceeded(Quota.REACTIONS)
                raise too_many_commands(wait_s)
            case Refusal.NOT_A_MEMBER:
                await see_chat(self._membership, event.chat_id, event.sender.id)  # 404 if they may not even see it
                raise refused(outcome)
            case Refusal():
                if outcome is Refusal.REACTION_LIMIT:
                    self._metrics.quota_exceeded(Quota.MESSAGE_REACTIONS)
                raise refused(outcome)
        raise AssertionError("a reaction is stored as one")


def _key(request: Request) -> str:
    """The key in the path.

    Raises: Problem (422).
    """
    ids = request.path_params
    before = f"/api/v1/chats/{ids['chat_id']}/messages/{ids['message_id']}/reactions/"
    key = path_segment(request, before, "")
    if not check_reaction_key(key):
        raise invalid_field(f"A reaction has 1 to {MAX_REACTION_KEY} visible characters, none of them a control.")
    return key
