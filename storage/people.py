"""Who is meant by an id or a login."""

from collections.abc import Sequence

from tortoise.expressions import Q

from storage.errors import InvalidMembers, UnknownUser
from storage.ids import is_id
from storage.models import User
from storage.records import QUEUE_SENDER, NewMember, Person


async def resolve(members: Sequence[NewMember]) -> list[Person]:
    """The person that each member names, in one query; call it in a session.

    Raises: UnknownUser, InvalidMembers if one names nobody.
    """
    ids = [member.user_id for member in members if is_id(member.user_id)]
    logins = [member.login.casefold() for member in members if member.login is not None]
    persons = User.filter(id__gt=QUEUE_SENDER.id)
    rows = await persons.filter(Q(id__in=ids) | Q(login_folded__in=logins)).values(
        "id", "login", "login_folded", "first_name", "last_name"
    )
    known: dict[int | str, Person] = {}
    for row in rows:
        person = Person(row["id"], row["login"], row["first_name"], row["last_name"])
        known[person.id] = known[row["login_folded"]] = person
    people = []
    for member in members:
        who = member.login if member.user_id is None else member.user_id
        if who is None:
            raise InvalidMembers("a member is named by user_id or login")
        if (found := known.get(who.casefold() if isinstance(who, str) else who)) is None:
            raise UnknownUser(who)
        people.append(found)
    return people
