"""Stand-ins for storage and clocks, for logic that needs neither."""

from datetime import UTC, datetime, timedelta

from storage.errors import LoginTaken
from storage.records import Account, Person, SigningKey


class MemoryAccounts:
    """Meets `auth.accounts.Accounts`."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.looked_up: list[str] = []

    async def create(self, login: str, password_hash: str, first_name: str = "", last_name: str = "") -> Person:
        if login.lower() in self.accounts:
            raise LoginTaken
        person = Person(len(self.accounts) + 1, login, first_name, last_name)
        self.accounts[login.lower()] = Account(person, password_hash)
        return person

    async def by_login(self, login: str) -> Account | None:
        self.looked_up.append(login)
        return self.accounts.get(login.lower())

    async def set_password_hash(self, user_id: int, password_hash: str) -> None:
        for login, account in self.accounts.items():
            if account.person.id == user_id:
                self.accounts[login] = Account(account.person, password_hash)


class MemoryKeys:
    """Meets `auth.keys.KeyStore`."""

    def __init__(self) -> None:
        self.keys: list[SigningKey] = []
        self.reads = 0

    async def all(self) -> list[SigningKey]:
        self.reads += 1
        return list(self.keys)

    async def add_first_if_none(self, key: SigningKey) -> SigningKey:
        if not self.keys:
            self.keys.append(key)
        return self.keys[0]

    async def add(self, key: SigningKey) -> None:
        self.keys.append(key)


class Clock:
    """One hand-moved time, in the three forms that code asks for."""

    def __init__(self) -> None:
        self.seconds = 1_750_000_000.0

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def unix(self) -> float:
        return self.seconds

    def utc(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)
