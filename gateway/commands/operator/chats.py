"""`chat-gateway chats`: list, show, create and remove chats, and change their members."""

import argparse
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from gateway.commands.command import Commands, add_command, add_group, prints
from gateway.errors import CommandError

if TYPE_CHECKING:
    from gateway.commands.operator.store import OpenStore

_KEY: Final = "key:"
_MEMBERS_SHOWN: Final = 200
_CHATS_SHOWN: Final = 200


def add(commands: Commands) -> None:
    """Add the command."""
    chats = add_command(
        commands,
        "chats",
        "list, show, create or remove chats, and change their members",
        None,
        details="A CHAT is an id, or key:… with its key; a USER is an id, a login, or sub:… with a subject.",
        examples=["chat-gateway chats show 2001", "chat-gateway chats create --title Team ann bob"],
    )
    actions = add_group(chats)
    of_user = add_command(
        actions,
        "list",
        f"list up to {_CHATS_SHOWN} chats of a user, the latest activity first",
        prints(_list),
        examples=["chat-gateway chats list ann"],
    )
    of_user.add_argument("user", metavar="USER")
    show = add_command(
        actions,
        "show",
        f"show a chat and up to {_MEMBERS_SHOWN} of its members",
        prints(_show),
        examples=["chat-gateway chats show 2001", "chat-gateway chats show key:order-7"],
    )
    show.add_argument("chat", metavar="CHAT")
    create = add_command(
        actions,
        "create",
        "create a group",
        prints(_create),
        details="Without an owner only services and these commands change its members.",
        examples=["chat-gateway chats create --title Team --owner ann bob sub:42"],
    )
    create.add_argument("members", nargs="*", metavar="USER")
    create.add_argument("--title", default="", metavar="TEXT")
    create.add_argument("--key", metavar="KEY", help="a name of yours: a chat with this key is not created again")
    create.add_argument("--owner", metavar="USER", help="a member who may change the chat")
    for name, summary, work in (
        ("add-member", "add a member to a chat", _add_member),
        ("remove-member", "remove a member from a chat; open sockets follow within seconds", _remove_member),
    ):
        change = add_command(actions, name, summary, prints(work), examples=[f"chat-gateway chats {name} 2001 bob"])
        change.add_argument("chat", metavar="CHAT")
        change.add_argument("user", metavar="USER")
    remove = add_command(
        actions,
        "remove",
        "remove a chat with its messages, for everybody",
        prints(_remove),
        examples=["chat-gateway chats remove 2001 --yes"],
    )
    remove.add_argument("chat", metavar="CHAT")
    remove.add_argument("--yes", action="store_true", help="needed, because this cannot be undone")


async def _chat_id(store: "OpenStore", name: str) -> int:
    from storage.repositories.chats import Chats

    if name.startswith(_KEY):
        chat_id = await Chats(store.database).id_of_key(name.removeprefix(_KEY))
    else:
        chat_id = int(name) if name.isascii() and name.isdigit() else None
    if chat_id is None:
        raise CommandError(f"There is no chat {name}.")
    return chat_id


@contextmanager
def _refusals(chat: str) -> Iterator[None]:
    """Turn what the store rejects inside into an error for the operator."""
    from storage.errors import InvalidMembers, NoSuchChat

    try:
        yield
    except NoSuchChat:
        raise CommandError(f"There is no chat {chat}.") from None
    except InvalidMembers as error:
        raise CommandError(f"{error}.") from None


async def _list(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.commands.operator.store import open_store
    from storage.repositories.chat_lists import StoredChatLists

    async with open_store() as store:
        person = await store.person(options.user)
        page = await StoredChatLists(store.database).by_activity(person.id, None, _CHATS_SHOWN, last_messages=False)
        for listed in page.chats:
            active = f"{listed.last_activity_at:%Y-%m-%dT%H:%M:%SZ}"
            chat = listed.chat
            yield f"{chat.id:<8} {chat.kind:<8} {active}  {chat.member_count:>5} members  {chat.title}".rstrip()


async def _show(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.commands.operator.store import open_store
    from storage.repositories.chats import Chats

    async with open_store() as store:
        chats = Chats(store.database)
        chat_id = await _chat_id(store, options.chat)
        chat = await chats.chat(chat_id, None)
        if chat is None:
            raise CommandError(f"There is no chat {options.chat}.")
        for name, value in (
            ("id", chat.id),
            ("kind", chat.kind),
            ("title", chat.title),
            ("key", chat.key),
            ("data", chat.data),
            ("owner", chat.owner_id),
            ("last seq", chat.last_seq),
            ("frozen", "yes" if chat.is_frozen else None),
            ("slow mode", f"{chat.slow_mode_s} s" if chat.slow_mode_s else None),
            ("retention", None if chat.retention_days is None else f"{chat.retention_days} days"),
            ("members", chat.member_count),
        ):
            if value not in (None, ""):
                yield f"{name:<10} {value}"
        for member in (await chats.member_page(chat_id, None, _MEMBERS_SHOWN)).items:
            yield f"member     {member.person.id} {member.person.username} {member.role}"


async def _create(options: argparse.Namespace) -> AsyncIterator[str]:
    import msgspec

    from gateway.api.chats.chats import ChatBody
    from gateway.commands.operator.store import open_store
    from gateway.outlet import wanted_of
    from httpapi.audit.events import Event
    from storage.names import is_name
    from storage.records import ChatKind, NewMember
    from storage.repositories.chats import Chats

    try:
        wanted = msgspec.convert({"kind": "group", "title": options.title, "key": options.key}, ChatBody)
    except msgspec.ValidationError as error:
        raise CommandError(f"{error}.") from None
    if options.title and not is_name(options.title):
        raise CommandError("A title has visible characters, and no control or invisible ones.")
    async with open_store() as store:
        chats = Chats(store.database, wanted=wanted_of(store.settings))
        owner_id = None if options.owner is None else (await store.person(options.owner)).id
        ids = dict.fromkeys([(await store.person(name)).id for name in options.members])
        members = [NewMember(user_id=user_id) for user_id in ids if user_id != owner_id]
        chat, is_new = await chats.create_chat(owner_id, ChatKind.GROUP, wanted.title, members, key=wanted.key)
        if is_new:
            await store.record(Event.CHAT_CREATED, chat_id=chat.id, kind=chat.kind, members=chat.member_count)
        yield f"Chat {chat.id} {'is created' if is_new else 'is there already'}, with {chat.member_count} members."


async def _add_member(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.commands.operator.store import open_store
    from gateway.outlet import wanted_of
    from httpapi.audit.events import Event
    from storage.records import NewMember
    from storage.repositories.chats import Chats

    async with open_store() as store:
        chat_id, person = await _chat_id(store, options.chat), await store.person(options.user)
        chats = Chats(store.database, wanted=wanted_of(store.settings))
        with _refusals(options.chat):
            member, is_new = await chats.add_member(chat_id, None, NewMember(user_id=person.id))
        if is_new:
            await store.record(Event.MEMBER_ADDED, user_id=person.id, chat_id=chat_id, role=member.role)
        yield f"{person.username} {'is a member' if is_new else 'was a member already'}, as {member.role}."


async def _remove_member(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.commands.operator.store import open_store
    from gateway.outlet import wanted_of
    from httpapi.audit.events import Event
    from storage.errors import UnknownUser
    from storage.repositories.chats import Chats

    async with open_store() as store:
        chat_id, person = await _chat_id(store, options.chat), await store.person(options.user)
        chats = Chats(store.database, wanted=wanted_of(store.settings))
        with _refusals(options.chat):
            try:
                new_owner_id = await chats.remove_member(chat_id, None, person.id)
            except UnknownUser:
                raise CommandError(f"{person.username} is not a member of it.") from None
        facts = {} if new_owner_id is None else {"new_owner_id": new_owner_id}
        await store.record(Event.MEMBER_REMOVED, user_id=person.id, chat_id=chat_id, **facts)
        yield f"{person.username} is no longer a member."


async def _remove(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.commands.operator.store import open_store
    from gateway.outlet import wanted_of
    from httpapi.audit.events import Event
    from storage.repositories.chat_setup.removals import ChatRemovals

    async with open_store() as store:
        chat_id = await _chat_id(store, options.chat)
        if not options.yes:
            raise CommandError(f"This removes chat {chat_id} with all its messages for good: repeat it with --yes.")
        with _refusals(options.chat):
            await ChatRemovals(store.database, wanted_of(store.settings)).remove(chat_id, None)
        await store.record(Event.CHAT_REMOVED, chat_id=chat_id)
        yield f"Chat {chat_id} is removed; nodes forget it within seconds."
