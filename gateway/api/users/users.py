"""Users over HTTP: who the caller is, and what services keep of their users."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, NotRequired, Protocol, TypedDict

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.schemas import answer
from gateway.authentication.authenticator import Authenticator
from gateway.authentication.credential_resolver import IdentityStore
from gateway.authentication.represented_users import MAX_SUBJECT
from gateway.http.parameters import ANY_TEXT, path_id, path_segment
from gateway.http.problems import Problem, beyond_64_bits, invalid_field, not_found
from gateway.protocol.codes import ErrorCode
from gateway.protocol.ids import id_in
from httpapi.audit.facts import note
from httpapi.body import read_json
from httpapi.bounded_json import to_json_of_client
from httpapi.operation import Audience, Parameter, Scope, operation
from httpapi.resource import Handler, api_resource
from httpapi.service_keys import ServiceKeys
from storage.errors import LoginTaken
from storage.names import is_name
from storage.records import Profile

MAX_LISTED: Final = 100
MAX_DATA_BYTES: Final = 4096
_NAME: Final = Meta(max_length=150)
_BEFORE_SUBJECT: Final = "/api/v1/users/sub:"
_IDS: Final = Parameter("ids", "user ids, by comma", {"type": "string"})
_SUBS: Final = Parameter("subs", "subjects of the external issuer, by comma", {"type": "string"})
_USERNAMES: Final = Parameter("usernames", "usernames, by comma, in any case", {"type": "string"})
MAX_USERNAME: Final = 64


class ProfileStore(Protocol):
    """Implemented by `storage.repositories.profiles`. Every method raises StorageUnavailable."""

    async def by_ids(self, user_ids: Sequence[int]) -> list[Profile]:
        """The profiles of those ids that are users, by id."""
        ...

    async def by_subjects(self, issuer: str, subjects: Sequence[str]) -> list[Profile]:
        """The profiles of those whom this issuer calls so, by id."""
        ...

    async def by_usernames(self, usernames: Sequence[str]) -> list[Profile]:
        """The profiles of the users with these usernames, in any case, by id."""
        ...

    async def change(self, user_id: int, changes: dict[str, str]) -> Profile | None:
        """Set these columns, and return the profile; None if there is no such user.

        Raises: LoginTaken.
        """
        ...


class ProfileBody(Struct, forbid_unknown_fields=True):
    """What to change of a user; what is left out stays as it is."""

    username: Annotated[str, Meta(min_length=1, max_length=MAX_USERNAME)] | UnsetType = UNSET
    display_name: Annotated[str, _NAME] | UnsetType = UNSET
    first_name: Annotated[str, _NAME] | UnsetType = UNSET
    last_name: Annotated[str, _NAME] | UnsetType = UNSET
    avatar_url: Annotated[str, Meta(max_length=2048)] | UnsetType = UNSET
    data: dict[str, Any] | UnsetType = UNSET

    def changes(self) -> dict[str, str]:
        """The columns and their new values.

        Raises: Problem (422).
        """
        changes = {}
        for field in ("username", "display_name", "first_name", "last_name"):
            name = getattr(self, field)
            if name is not UNSET:
                if (name and not is_name(name)) or (field == "username" and ":" in name):
                    raise invalid_field("A name has visible characters, and no control or invisible ones.", field)
                changes["login" if field == "username" else field] = name
        if self.avatar_url is not UNSET:
            if self.avatar_url and not _is_web_url(self.avatar_url):
                raise invalid_field("A picture's URL begins with https:// or http:// and has no spaces.", "avatar_url")
            changes["avatar_url"] = self.avatar_url
        if self.data is not UNSET:
            data = to_json_of_client(self.data)
            if data is None:
                raise beyond_64_bits("a user")
            if len(data) > MAX_DATA_BYTES:
                raise invalid_field(f"The data of a user has at most {MAX_DATA_BYTES} bytes of JSON.", "data")
            changes["data"] = data.decode()
        return changes


class ProfileObject(TypedDict):
    """A user. `issuer` and `sub` are those of an external issuer's token."""

    user_id: int
    username: str
    display_name: str
    first_name: str
    last_name: str
    avatar_url: str
    data: NotRequired[dict[str, Any]]
    issuer: NotRequired[str]
    sub: NotRequired[str]


class MeObject(ProfileObject):
    """The caller; `expires_at` is the end of the token."""

    expires_at: datetime


class ProfileList(TypedDict):
    """Those users that exist, by id."""

    users: list[ProfileObject]


class UserRoutes:
    """`/api/v1/me`, `/api/v1/users`, `/api/v1/users/{user_id}` and `/api/v1/users/sub:{sub}`.

    `issuer` is the external issuer's name, or empty.
    """

    def __init__(
        self,
        identity: Authenticator,
        service_keys: ServiceKeys,
        profiles: ProfileStore,
        identities: IdentityStore,
        issuer: str,
        erase: Handler,
        erase_caller: Handler,
    ) -> None:
        """`erase` is `DELETE` of a user, `erase_caller` that of the caller."""
        self._identity = identity
        self._service_keys = service_keys
        self._profiles = profiles
        self._identities = identities
        self._issuer = issuer
        self._erase = erase
        self._erase_caller = erase_caller

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/me", GET=self._me, DELETE=self._erase_caller),
            api_resource("/api/v1/users", GET=self._list),
            api_resource(f"{_BEFORE_SUBJECT}{{sub:{ANY_TEXT}}}", PUT=self._upsert),
            api_resource("/api/v1/users/{user_id}", PATCH=self._change, DELETE=self._erase),
        ]

    @operation("Get the caller.", Audience.USER, {200: MeObject})
    async def _me(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        found = await self._profiles.by_ids([caller.person.id])
        if not found:
            raise not_found()
        expires_at = datetime.fromtimestamp(caller.credential.expires_at, UTC).replace(microsecond=0)
        return answer(MeObject(**profile_object(found[0]), expires_at=expires_at))

    @operation(
        "Get users by their ids, their usernames or the external issuer's subjects.",
        Audience.SERVICE,
        {200: ProfileList},
        {409: "conflict"},
        parameters=(_IDS, _SUBS, _USERNAMES),
        details=f"At most {MAX_LISTED} in one call. Those that do not exist are left out. 409: there are "
        "no subjects, since `JWT_ISSUER` is not set.",
        scope=Scope.USERS,
    )
    async def _list(self, request: Request) -> Response:
        self._service_keys.require(request, self._list)
        given = [one.name for one in (_IDS, _SUBS, _USERNAMES) if one.name in request.query_params]
        if len(given) != 1:
            raise invalid_field("Users are named by either ids, subs or usernames.")
        names = request.query_params[given[0]].split(",")
        if len(names) > MAX_LISTED:
            raise invalid_field(f"A call names at most {MAX_LISTED} users.")
        if given == [_SUBS.name]:
            found = await self._profiles.by_subjects(self._required_issuer(), list(map(_checked_subject, names)))
        elif given == [_USERNAMES.name]:
            found = await self._profiles.by_usernames(list(map(_checked_username, names)))
        else:
            numbers = list(map(id_in, names))
            if None in numbers:
                raise invalid_field("ids are numbers, by comma.")
            found = await self._profiles.by_ids([number for number in numbers if number is not None])
        return answer(ProfileList(users=list(map(profile_object, found))))

    @operation(
        "Create or change a user of the external issuer.",
        Audience.SERVICE,
        {200: ProfileObject},
        {409: "conflict"},
        body=ProfileBody,
        example={"display_name": "Ann", "avatar_url": "https://example.com/ann.png", "data": {"plan": "pro"}},
        details="`sub` is the subject of the user's tokens (`JWT_ISSUER` names their issuer): so a service can put "
        "users into chats before their first login. A repeated call changes nothing more. 409: the username is taken.",
        scope=Scope.USERS,
    )
    async def _upsert(self, request: Request) -> Response:
        self._service_keys.require(request, self._upsert)
        subject = _checked_subject(path_segment(request, _BEFORE_SUBJECT, ""))
        issuer = self._required_issuer()
        body = await read_json(request, ProfileBody)
        changes = body.changes()
        person = await self._identities.person(issuer, subject, changes.get("login") or changes.get("display_name", ""))
        return answer(await self._changed(person.id, changes))

    @operation(
        "Change a user.",
        Audience.SERVICE,
        {200: ProfileObject},
        {404: "not_found", 409: "conflict"},
        body=ProfileBody,
        example={"display_name": "Ann"},
        details="409: the username is taken.",
        scope=Scope.USERS,
    )
    async def _change(self, request: Request) -> Response:
        self._service_keys.require(request, self._change)
        user_id = path_id(request, "user_id")
        body = await read_json(request, ProfileBody)
        return answer(await self._changed(user_id, body.changes()))

    async def _changed(self, user_id: int, changes: dict[str, str]) -> ProfileObject:
        try:
            profile = await self._profiles.change(user_id, changes)
        except LoginTaken:
            raise Problem(HTTPStatus.CONFLICT, ErrorCode.CONFLICT, "Another user has this username.") from None
        if profile is None:
            raise not_found()
        note(user_id=profile.person.id)
        return profile_object(profile)

    def _required_issuer(self) -> str:
        """Raises: Problem (409)."""
        if not self._issuer:
            detail = "There are no users of an external issuer here (JWT_ISSUER is not set)."
            raise Problem(HTTPStatus.CONFLICT, ErrorCode.CONFLICT, detail)
        return self._issuer


def _checked_subject(text: str) -> str:
    """Raises: Problem (422)."""
    if not 0 < len(text) <= MAX_SUBJECT or "\x00" in text:
        raise invalid_field(f"A subject has 1 to {MAX_SUBJECT} characters.")
    return text


def _checked_username(text: str) -> str:
    """Raises: Problem (422)."""
    if not 0 < len(text) <= MAX_USERNAME or "\x00" in text:
        raise invalid_field(f"A username has 1 to {MAX_USERNAME} characters.")
    return text


def _is_web_url(text: str) -> bool:
    return text.startswith(("https://", "http://")) and text.isprintable() and " " not in text


def profile_object(profile: Profile) -> ProfileObject:
    """The user in the format of the API."""
    person = profile.person
    shown = ProfileObject(
        user_id=person.id,
        username=person.username,
        display_name=person.display_name,
        first_name=person.first_name,
        last_name=person.last_name,
        avatar_url=profile.avatar_url,
    )
    if profile.data:
        shown["data"] = msgspec.json.decode(profile.data)
    if profile.issuer is not None and profile.subject is not None:
        shown["issuer"], shown["sub"] = profile.issuer, profile.subject
    return shown
