"""Which roles a kind of chat has, and who gets which when nobody says."""

from collections.abc import Collection, Iterable

from storage.errors import InvalidMembers
from storage.records import ChatKind, Member, Person, Role

_ROLES: dict[ChatKind, tuple[Role, ...]] = {
    ChatKind.GROUP: (Role.MEMBER,),
    ChatKind.DIRECT: (Role.MEMBER,),
    ChatKind.PUBLIC: (Role.MEMBER,),
    ChatKind.SERVICE: (Role.MASTER, Role.CLIENT),
    ChatKind.SUPPORT: (Role.SUPPORT, Role.CLIENT),
}


def role_in(kind: ChatKind, wanted: Role | None, taken: Collection[Role]) -> Role:
    """The role of a new member who wants `wanted` in a chat where `taken` are taken.

    Who wants none in particular gets the first that nobody has, else the last: so the creator of a service chat is its
    master and the other its client, unless they say otherwise.

    Raises: InvalidMembers.
    """
    if (roles := _ROLES.get(kind)) is None:
        raise InvalidMembers(f"a {kind} is made by its name and has no members")
    if wanted is None:
        return next((role for role in roles if role not in taken), roles[-1])
    if wanted not in roles:
        raise InvalidMembers(f"in a {kind} chat everyone is {' or '.join(roles)}, nobody is {wanted}")
    return wanted


def assign_roles(kind: ChatKind, creator: Person, others: Iterable[tuple[Person, Role | None]]) -> list[Member]:
    """The members of a new chat, the creator first (who may be among `others` too, to take a role).

    Raises: InvalidMembers.
    """
    wanted: dict[Person, Role | None] = {creator: None}
    for person, role in others:
        if role is not None and wanted.get(person) not in (None, role):
            raise InvalidMembers(f"{person.username} is listed with two roles")
        wanted[person] = role or wanted.get(person)
    if kind == ChatKind.DIRECT and len(wanted) != 2:
        raise InvalidMembers("a direct chat is between its creator and one other person")
    taken = {role for role in wanted.values() if role is not None}
    members = []
    for person, role in wanted.items():
        member = Member(person, role_in(kind, role, taken), read_seq=0)
        taken.add(member.role)
        members.append(member)
    return members
