"""Names that follow the tokens of an external issuer, on both databases."""

import asyncio

import pytest

from storage.errors import StorageUnavailable
from storage.profile_records import ClaimedProfile
from storage.records import Profile
from storage.repositories.identities import Identities
from storage.repositories.profiles import Profiles
from storage.repositories.users.claimed_profiles import MAX_NAME, WRITE_INTERVAL_S
from tests.storage.nodes import Node

MAIN = "https://main.example"
NOW = 1_700_000_000


class World:
    """One external user whose tokens come over time."""

    def __init__(self, node: Node) -> None:
        self.now = float(NOW)
        self.profiles = Profiles(node.database)
        self.identities = Identities(node.database, lambda: self.now)

    async def token(self, **claims: object) -> Profile:
        """The stored user after a token with these claims, a minute after the last."""
        self.now += WRITE_INTERVAL_S
        return await self.token_at_once(**claims)

    async def token_at_once(self, **claims: object) -> Profile:
        claimed = ClaimedProfile(**{"issued_at": int(self.now), **claims})  # type: ignore[arg-type]
        person = await self.identities.person(MAIN, "u-1", "ann", claimed)
        (profile,) = await self.profiles.by_ids([person.id])
        assert person == profile.person
        return profile


@pytest.fixture
def world(node: Node) -> World:
    return World(node)


def names(profile: Profile) -> tuple[str, ...]:
    person = profile.person
    return person.display_name, person.first_name, person.last_name, profile.avatar_url


async def test_first_token_fills_the_user(world: World) -> None:
    url = "https://example.com/a.png"
    claims = {"display_name": "Ann Lee", "first_name": "Ann", "last_name": "Lee", "avatar_url": url}
    assert names(await world.token(**claims)) == ("Ann Lee", "Ann", "Lee", url)


async def test_later_token_changes_what_it_says(world: World) -> None:
    await world.token(display_name="Ann Lee", first_name="Ann")
    assert names(await world.token(display_name="Ann Ray")) == ("Ann Ray", "Ann", "", "")


async def test_token_that_says_nothing_new_costs_one_query(
    world: World, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.token(display_name="Ann")
    statements = node.count_statements(monkeypatch)
    await world.identities.person(MAIN, "u-1", "ann", ClaimedProfile(int(world.now) + 99, "Ann"))
    assert len(statements) == 1


async def test_names_change_once_a_minute(world: World) -> None:
    await world.token(display_name="one")
    world.now += WRITE_INTERVAL_S - 1
    assert names(await world.token_at_once(display_name="two"))[0] == "one"
    world.now += 1
    assert names(await world.token_at_once(display_name="two"))[0] == "two"


async def test_racing_nodes_write_names_once(world: World, node: Node, other_node: Node) -> None:
    await world.token(display_name="one")
    world.now += WRITE_INTERVAL_S
    both = [Identities(where.database, lambda: world.now) for where in (node, other_node)]
    claims = [ClaimedProfile(int(world.now), name) for name in ("two", "six")]
    await asyncio.gather(*(both[n].person(MAIN, "u-1", "", claims[n]) for n in (0, 1)))
    rows = await node.database.fetch("SELECT changed_at FROM users WHERE changed_at > 0")
    assert [row["changed_at"] for row in rows] == [int(world.now) * 1000]


async def test_racing_first_tokens_both_know_the_names(world: World, node: Node, other_node: Node) -> None:
    await world.identities.person(MAIN, "u-1", "ann")  # a service has made the user a member of a chat
    claimed = ClaimedProfile(issued_at=NOW, display_name="Ann Lee")
    both = [Identities(database, lambda: float(NOW)) for database in (node.database, other_node.database)]
    people = await asyncio.gather(*(each.person(MAIN, "u-1", "ann", claimed) for each in both for _ in range(3)))
    assert {person.display_name for person in people} == {"Ann Lee"}


async def test_older_token_does_not_turn_names_back(world: World) -> None:
    await world.token(display_name="new")
    assert names(await world.token(display_name="old", issued_at=NOW))[0] == "new"


async def test_name_set_by_service_stays(world: World) -> None:
    user_id = (await world.token(display_name="Ann", first_name="A")).person.id
    await world.profiles.change(user_id, {"display_name": "Support", "avatar_url": "https://x.example/p"})
    after = await world.token(display_name="Ann Ray", first_name="Ann", avatar_url="https://y.example/q")
    assert names(after) == ("Support", "Ann", "", "https://x.example/p")


async def test_name_emptied_by_service_follows_again(world: World) -> None:
    user_id = (await world.token(display_name="Ann")).person.id
    for name in ("Support", ""):
        await world.profiles.change(user_id, {"display_name": name})
    assert names(await world.token(display_name="Ann Ray"))[0] == "Ann Ray"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a\u202eb", "ab"),
        ("\u200b", ""),
        ("x" * 100_000, "x" * MAX_NAME),
        ("nul\0", "nul"),
        ("  Ann  ", "Ann"),
    ],
)
async def test_claimed_name_is_cleaned_and_bounded(world: World, said: str, kept: str) -> None:
    assert names(await world.token(display_name=said))[0] == kept
    again = await world.token(display_name=said)
    assert names(again)[0] == kept


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x/ y", "http://x/" + "y" * 2048, "https://x/\u202e"])
async def test_claimed_picture_that_is_no_url_is_ignored(world: World, url: str) -> None:
    assert names(await world.token(avatar_url=url))[3] == ""


async def test_failed_write_of_names_admits_the_user(world: World, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.token(display_name="one")
    world.now += WRITE_INTERVAL_S

    def fail() -> None:
        raise StorageUnavailable

    monkeypatch.setattr(node.database, "transaction", fail)
    assert names(await world.token_at_once(display_name="two"))[0] == "one"


async def test_changes_are_listed_in_order_of_time(world: World, node: Node) -> None:
    people = [await node.person(name) for name in ("ann", "bob", "eve")]
    moments = iter([5, 7, 7])
    profiles = Profiles(node.database, lambda: next(moments) / 1000)
    for person in reversed(people):
        await profiles.change(person.id, {"first_name": "X"})
    ann, bob, eve = people
    listed = await profiles.changed_since(5, eve.id, 9)
    assert [(moment, person.id) for moment, person in listed] == [(7, ann.id), (7, bob.id)]
    assert [person.id for _, person in await profiles.changed_since(0, 0, 2)] == [eve.id, ann.id]
    assert [person.id for _, person in await profiles.changed_since(7, ann.id, 2)] == [bob.id]
