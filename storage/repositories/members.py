"""The roles of each kind of chat, and the default roles of its members."""

from collections.abc import Collection, Iterable, Sequence

from tortoise.expressions import Q

from storage.errors import InvalidMembers, UnknownUser
from storage.log.event_rows import person_of
from storage.models import User
from storage.records import SYSTEM, ChatKind, Member, NewMember, Person, Role, is_id


async def resolve(members: Sequence[NewMember]) -> list[Person]:
    """The person that each entry names, in one query; call it in a session.

    Raises: UnknownUser, InvalidMembers if an entry names none.
    """
    people = []
    for member, person in zip(members, await find_people(members), strict=True):
        if person is None:
            raise UnknownUser(name_of(member))
        people.append(person)
    return people


def name_of(member: NewMember) -> int | str:
    """The id or login in the entry.

    Raises: InvalidMembers if it has none.
    """
    who = member.login if member.user_id is None else member.user_id
    if who is None:
        raise InvalidMembers("a member is named by user_id or login")
    return who


async def find_people(members: Sequence[NewMember]) -> list[Person | None]:
    """The person that each entry names, or None, in one query; call it in a session.

    Raises: InvalidMembers if an entry names none.
    """
    ids = [member.user_id for member in members if is_id(member.user_id)]
    logins = [member.login.casefold() for member in members if member.login is not None]
    persons = User.filter(id__gt=SYSTEM.id, erased_at=None)
    rows = await persons.filter(Q(id__in=ids) | Q(login_folded__in=logins)).values(
        "id", "login", "login_folded", "first_name", "last_name", "display_name"
    )
    known: dict[int | str, Person] = {}
    for row in rows:
        person = person_of(row, "id")
        known[person.id] = known[row["login_folded"]] = person
    names = map(name_of, members)
    return [known.get(who.casefold() if isinstance(who, str) else who) for who in names]


_ROLES: dict[ChatKind, tuple[Role, ...]] = {
    ChatKind.GROUP: (Role.MEMBER, Role.MODERATOR, Role.READER),
    ChatKind.DIRECT: (Role.MEMBER,),
    ChatKind.PUBLIC: (Role.MEMBER, Role.MODERATOR, Role.READER),
    ChatKind.SERVICE: (Role.MASTER, Role.CLIENT),
    ChatKind.SUPPORT: (Role.SUPPORT, Role.CLIENT),
}


def role_in(kind: ChatKind, wanted: Role | None, taken: Collection[Role]) -> Role:
    """The role of a new member that requests `wanted` in a chat whose members have the roles `taken`.

    Without a request it is the first role that no member has, else the last: so by default the creator of a service
    chat is its master and the other member its client.

    Raises: InvalidMembers.
    """
    if (roles := _ROLES.get(kind)) is None:
        raise InvalidMembers(f"a {kind} is made by its name and has no members")
    if wanted is None and roles[0] is Role.MEMBER:
        return Role.MEMBER
    if wanted is None:
        return next((role for role in roles if role not in taken), roles[-1])
    if wanted not in roles:
        raise InvalidMembers(f"in a {kind} chat everyone is {' or '.join(roles)}, not {wanted}")
    return wanted


def assign_roles(kind: ChatKind, creator: Person | None, others: Iterable[tuple[Person, Role | None]]) -> list[Member]:
    """The members of a new chat, the creator first (it may be among `others` too, to get a role); None: a service.

    Raises: InvalidMembers.
    """
    wanted: dict[Person, Role | None] = {} if creator is None else {creator: None}
    for person, role in others:
        if role is not None and wanted.get(person) not in (None, role):
            raise InvalidMembers(f"{person.username} is listed with two roles")
        wanted[person] = role or wanted.get(person)
    if kind == ChatKind.DIRECT and len(wanted) != 2:
        raise InvalidMembers(
            "choose someone other than yourself"
            if creator is not None and len(wanted) == 1
            else "a direct chat is with one other person"
        )
    taken = {role for role in wanted.values() if role is not None}
    members = []
    for person, role in wanted.items():
        member = Member(person, role_in(kind, role, taken), read_seq=0)
        taken.add(member.role)
        members.append(member)
    return members
