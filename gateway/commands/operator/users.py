"""`chat-gateway users`: create, show, ban and unban users."""

import argparse
import sys
import time
from collections.abc import AsyncIterator

from gateway.commands.command import Commands, add_command, add_group, prints
from gateway.errors import CommandError


def add(commands: Commands) -> None:
    """Add the command."""
    users = add_command(
        commands,
        "users",
        "create, show, ban or unban users",
        None,
        aliases=["user"],
        details="A USER is an id, a login, or sub:… with the subject of your issuer's tokens.",
        examples=["chat-gateway users show ann", "chat-gateway users ban ann --until 2030-01-01 --reason spam"],
    )
    actions = add_group(users)
    create = add_command(
        actions,
        "create",
        "create an account, also where registration is closed",
        prints(_create),
        details="The password is asked for, or read from standard input.",
        examples=["chat-gateway users create ann", "openssl rand -hex 16 | chat-gateway users create robot"],
    )
    create.add_argument("login", metavar="LOGIN")
    create.add_argument("--first-name", default="", metavar="NAME")
    create.add_argument("--last-name", default="", metavar="NAME")
    show = add_command(
        actions,
        "show",
        "show what is known of a user",
        prints(_show),
        examples=["chat-gateway users show ann", "chat-gateway users show sub:42"],
    )
    show.add_argument("user", metavar="USER")
    ban = add_command(
        actions,
        "ban",
        "ban a user, until a time or until the ban is lifted",
        prints(_ban),
        details="Open sockets of the user are closed within 5 s, on every node.",
        examples=["chat-gateway users ban ann --reason spam", "chat-gateway users ban 17 --until 2030-01-01T12:00:00Z"],
    )
    ban.add_argument("user", metavar="USER")
    ban.add_argument("--until", metavar="TIME", help="when it ends, such as 2030-01-01T12:00:00Z (default: never)")
    ban.add_argument("--reason", default="", metavar="TEXT", help="for the audit log and for services")
    unban = add_command(actions, "unban", "lift a ban", prints(_unban), examples=["chat-gateway users unban ann"])
    unban.add_argument("user", metavar="USER")


async def _create(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.auth_mount import create_account
    from gateway.commands.operator.store import open_store
    from httpapi.audit.events import Event
    from storage.errors import LoginTaken

    password = _password()
    async with open_store() as store:
        try:
            made = await create_account(store.database, options.login, password, options.first_name, options.last_name)
        except LoginTaken:
            raise CommandError(f"The login {options.login} is taken.") from None
        if isinstance(made, list):
            raise CommandError(" ".join(rule.detail for rule in made))
        await store.record(Event.ACCOUNT_CREATED, user_id=made.id, login=made.username)
        yield f"User {made.id}, {made.username}, is created."


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    from getpass import getpass

    password = getpass("Password: ")
    if getpass("The same again: ") != password:
        raise CommandError("The two passwords differ.")
    return password


async def _show(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.commands.operator.store import open_store, shown_time
    from storage.repositories.chat_lists import StoredChatLists
    from storage.repositories.profiles import Profiles
    from storage.repositories.revocations import Revocations
    from storage.repositories.users.exports import Exports
    from storage.repositories.users.last_seen import LastSeenRepository

    async with open_store() as store:
        database = store.database
        user_id = (await store.person(options.user)).id
        (profile,) = await Profiles(database).by_ids([user_id])
        yield f"id            {user_id}"
        yield f"login         {profile.person.username}"
        yield f"name          {profile.person.shown_name}"
        if profile.subject is not None:
            yield f"identity      {profile.subject} of {profile.issuer}"
        if profile.data:
            yield f"data          {profile.data}"
        seen_ms = (await LastSeenRepository(database).of([user_id], None)).get(user_id)
        yield f"last seen     {'never' if seen_ms is None else shown_time(seen_ms / 1000)}"
        ban = await Revocations(database).ban_of(user_id)
        if ban is not None:
            until = "it is lifted" if ban.moment is None else shown_time(ban.moment)
            yield f"banned until  {until}{ban.reason and ': ' + ban.reason}"
        for session in await Exports(database).sessions(user_id):
            yield f"login since   {shown_time(session['created_at'])} {session['user_agent']}".rstrip()
        page = await StoredChatLists(database).by_activity(user_id, None, 20, last_messages=False)
        for listed in page.chats:
            yield f"chat          {listed.chat.id} {listed.chat.kind} {listed.chat.title}".rstrip()
        if page.next is not None:
            yield "chat          … (chat-gateway chats list)"


async def _ban(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.api.users.sessions import MAX_REASON
    from gateway.commands.operator.store import open_store, read_time, shown_time
    from httpapi.audit.events import Event
    from storage.repositories.revocations import Revocations

    until = None if options.until is None else read_time(options.until)
    if until is not None and until <= time.time():
        raise CommandError("A ban ends in the future.")
    if len(options.reason) > MAX_REASON:
        raise CommandError(f"A reason has at most {MAX_REASON} characters.")
    async with open_store() as store:
        person = await store.person(options.user)
        await Revocations(store.database).ban(person.id, until, options.reason)
        facts = {} if until is None else {"until": int(until)}
        await store.record(Event.USER_BANNED, user_id=person.id, reason=options.reason, **facts)
        end = "it is lifted" if until is None else shown_time(until)
        yield f"User {person.id}, {person.username}, is banned until {end}."


async def _unban(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.commands.operator.store import open_store
    from httpapi.audit.events import Event
    from storage.repositories.revocations import Revocations

    async with open_store() as store:
        person = await store.person(options.user)
        revocations = Revocations(store.database)
        if await revocations.ban_of(person.id) is None:
            yield f"User {person.id}, {person.username}, is not banned."
            return
        await revocations.unban(person.id)
        await store.record(Event.USER_UNBANNED, user_id=person.id)
        yield f"User {person.id}, {person.username}, is no longer banned."
