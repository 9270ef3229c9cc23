"""Lists of a user's chats over HTTP, and what is unread in them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors
from gateway.api.chats.members import LIMIT, MAX_PAGE
from gateway.api.schemas import (
    ChatList,
    OwnChatObject,
    UnreadObject,
    answer,
    chat_object,
)
from gateway.dialects.chat import message_object
from gateway.http.parameters import QueryChoice, QueryCursor, QueryPlace
from gateway.http.problems import invalid_field
from gateway.interfaces.chat_lists import ChatLists
from gateway.interfaces.membership import Memberships
from httpapi.caller_turns import CallerTurns
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from storage.list_records import ListedChat, ListPlace
from storage.records import Chat

LISTED: Final = 1_000
"""The chats in a list without pages."""
_BY_CREATION: Final = QueryCursor("chats")
_BY_ACTIVITY: Final = QueryPlace("active", parts=3)
_ORDER: Final = QueryChoice("order", "`activity`: the latest message first; else the newest chat", ("activity",))
_UNREAD: Final = QueryChoice("unread", "only chats with unread messages", ("true", "false"))
_ARCHIVED: Final = QueryChoice("archived", "the archived chats instead of the others", ("true", "false"))


class ChatListRoutes:
    """The list of `/api/v1/chats`, and `/api/v1/unread`."""

    def __init__(self, actors: Actors, membership: Memberships, lists: ChatLists, reads: CallerTurns) -> None:
        self._actors = actors
        self._membership = membership
        self._lists = lists
        self._reads = reads

    def routes(self) -> list[BaseRoute]:
        """The routes, without that of `list_chats`, whose URL has another method."""
        return [api_resource("/api/v1/unread", GET=self._unread)]

    @operation(
        "List the user's chats.",
        Audience.USER_OR_SERVICE,
        {200: ChatList},
        {422: "invalid_field", 429: "rate_limited"},
        parameters=(
            LIMIT.parameter,
            _BY_CREATION.parameter,
            _ORDER.parameter,
            _UNREAD.parameter,
            _ARCHIVED.parameter,
        ),
        details="With `order=activity` a page of the list: pinned chats first, then those with the latest message, "
        "each with its `last_message`. Pass `next` as `cursor` for the page after it. Archived chats are hidden; "
        "`archived=true` lists these alone. With `unread=true` a page may have fewer chats than `limit` although more "
        "follow. With `limit` or `cursor` alone all chats page by page, the newest chat first. Chats that come and go, "
        "or become active, between two pages repeat or hide no others. Without parameters the response has the 1,000 "
        "chats with the latest activity, without their last messages.",
        scope=Scope.CHATS,
    )
    async def list_chats(self, request: Request) -> Response:
        """Respond with a list in one of its two orders."""
        person, actor = await self._actors.user(request, self.list_chats)
        limit, is_by_activity = LIMIT.read(request), _ORDER.read(request) is not None
        unread, archived = (choice.read(request) == "true" for choice in (_UNREAD, _ARCHIVED))
        if not is_by_activity and (unread or archived):
            raise invalid_field("unread and archived are for lists in order=activity.", "order")
        cursor = _BY_ACTIVITY.read(request) if is_by_activity else None
        before = None if is_by_activity else _BY_CREATION.read(request)
        async with self._reads.turn(actor.service or actor.user_id):
            if is_by_activity:
                place = None if cursor is None else ListPlace(bool(cursor[0]), cursor[1], cursor[2])
                listed = await self._lists.by_activity(
                    person.id, place, limit or MAX_PAGE, unread=unread, archived=archived
                )
                return answer(ChatList(chats=_listed(listed.chats), next=_text(listed.next)))
            if limit is None and before is None:
                newest = await self._lists.by_activity(person.id, None, LISTED, last_messages=False)
                shown = _listed(newest.chats)
                for chat in shown:
                    del chat["data"]  # which pages have
                return answer(ChatList(chats=shown))
            page = await self._membership.chat_page(person.id, before, limit or MAX_PAGE)
            return answer(ChatList(chats=_own(page.items), next=_BY_CREATION.text(page.next)))

    @operation(
        "Count what the user has not read, over all chats.",
        Audience.USER_OR_SERVICE,
        {200: UnreadObject},
        {429: "rate_limited"},
        details="Archived and muted chats do not count.",
        scope=Scope.CHATS,
    )
    async def _unread(self, request: Request) -> Response:
        person, actor = await self._actors.user(request, self._unread)
        async with self._reads.turn(actor.service or actor.user_id):
            totals = await self._lists.unread_totals(person.id, datetime.now(UTC))
        return answer(UnreadObject(chats=totals.chats, messages=totals.messages, mentions=totals.mentions))


def _text(place: ListPlace | None) -> str | None:
    return None if place is None else _BY_ACTIVITY.text((int(place.is_pinned), place.activity, place.chat_id))


def _own(chats: Sequence[Chat]) -> list[OwnChatObject]:
    return [cast(OwnChatObject, {**chat_object(chat), "unread": chat.unread}) for chat in chats]


def _listed(chats: Sequence[ListedChat]) -> list[OwnChatObject]:
    return [listed_chat_object(listed) for listed in chats]


def listed_chat_object(listed: ListedChat) -> OwnChatObject:
    """A chat of the caller's list by activity."""
    shown = {
        **chat_object(listed.chat),
        "unread": listed.chat.unread,
        "mentions": listed.mentions,
        "last_activity_at": listed.last_activity_at,
        "pinned": listed.is_pinned,
        "archived": listed.is_archived,
        "muted_until": listed.silenced_until,
    }
    if listed.last_message is not None:
        shown["last_message"] = message_object(listed.last_message)
    return cast(OwnChatObject, shown)
