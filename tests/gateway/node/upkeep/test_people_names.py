"""Names in memory follow those in the database."""

from typing import Any

from gateway.node.upkeep.people_names import OVERLAP_MS, PAGE, PeopleNames
from storage.auth_records import Credential
from storage.records import Person


class Socket:
    """The session of a user."""

    def __init__(self, user_id: int | None) -> None:
        self.credential = Credential(user_id, 0)
        self.person: Person | None = None

    def rename(self, person: Person) -> None:
        self.person = person


class Store:
    """The changes of names, in order."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, Person]] = []
        self.calls = 0

    async def by_ids(self, _: Any) -> Any:
        raise NotImplementedError

    async def changed_since(self, moment: int, user_id: int, limit: int) -> list[tuple[int, Person]]:
        self.calls += 1
        after = [change for change in self.changes if (change[0], change[1].id) > (moment, user_id)]
        return sorted(after, key=lambda change: (change[0], change[1].id))[:limit]


class World:
    """A node with the sockets of two users and a guest."""

    def __init__(self) -> None:
        self.store = Store()
        self.sockets = [Socket(1), Socket(2), Socket(2), Socket(None)]
        self.forgotten: list[set[int]] = []
        sessions: Any = self.sockets
        self.names = PeopleNames(self.store, sessions, lambda ids: self.forgotten.append(set(ids)), now=lambda: 1_000.0)

    def shown(self) -> list[str | None]:
        return [socket.person and socket.person.display_name for socket in self.sockets]


async def test_changed_name_reaches_every_socket_of_the_user() -> None:
    world = World()
    world.store.changes = [(1_000_000, Person(2, "bob", display_name="Bob")), (1_000_001, Person(9, "x"))]
    await world.names.read()
    assert world.shown() == [None, "Bob", "Bob", None]
    assert world.forgotten == [{2, 9}]


async def test_change_is_applied_once() -> None:
    world = World()
    world.store.changes = [(1_000_000, Person(1, "ann", display_name="Ann"))]
    for _ in range(3):
        await world.names.read()
    assert world.forgotten == [{1}]
    world.store.changes = [(1_000_500, Person(1, "ann", display_name="Ann Ray"))]
    await world.names.read()
    assert world.shown()[0] == "Ann Ray"
    assert world.forgotten == [{1}, {1}]


async def test_change_that_commits_late_is_found() -> None:
    world = World()
    world.store.changes = [(1_000_000, Person(1, "ann", display_name="Ann"))]
    await world.names.read()
    world.store.changes.append((1_000_000 - OVERLAP_MS + 1, Person(2, "bob", display_name="Bob")))
    await world.names.read()
    assert world.shown() == ["Ann", "Bob", "Bob", None]


async def test_many_changes_are_read_page_by_page() -> None:
    world = World()
    world.store.changes = [(1_000_000, Person(n, str(n), display_name="X")) for n in range(PAGE + 1, 0, -1)]
    await world.names.read()
    assert world.store.calls == 2
    assert world.shown() == ["X", "X", "X", None]
