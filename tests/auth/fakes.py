"""Fakes of storage and clocks, for pure logic."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from storage.auth_records import Account, LoginListing, RenewableLogin, SigningKey
from storage.errors import LoginTaken
from storage.records import Person


class MemoryAccounts:
    """Meets `auth.accounts.store.Accounts`."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.looked_up: list[str] = []

    @property
    def invitations(self) -> Any:
        """Not needed where accounts are in memory."""

    resets = invitations

    @property
    def factors(self) -> Any:
        return NoFactors()

    async def reset_password(self, digest: str, password_hash: str) -> bool:
        raise NotImplementedError

    async def create(
        self, login: str, password_hash: str, first_name: str = "", last_name: str = "", invitation: str | None = None
    ) -> Person:
        if login.lower() in self.accounts:
            raise LoginTaken
        person = Person(len(self.accounts) + 1, login, first_name, last_name)
        self.accounts[login.lower()] = Account(person, password_hash)
        return person

    async def by_login(self, login: str) -> Account | None:
        self.looked_up.append(login)
        return self.accounts.get(login.lower())

    async def by_user_id(self, user_id: int) -> Account | None:
        return next((each for each in self.accounts.values() if each.person.id == user_id), None)

    async def replace_hash(self, user_id: int, replaced: str, password_hash: str) -> bool:
        for login, account in self.accounts.items():
            if account.person.id == user_id and account.password_hash == replaced:
                self.accounts[login] = Account(account.person, password_hash)
                return True
        return False

    async def change_password(self, user_id: int, replaced: str, password_hash: str, **spared: str) -> bool:
        return await self.replace_hash(user_id, replaced, password_hash)


class NoFactors:
    """Nobody has a second factor."""

    async def find(self, user_id: int) -> None:
        return None


class MemoryKeys:
    """Meets `auth.tokens.key_ring.KeyStore`."""

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


class MemorySessions:
    """Meets `auth.accounts.sessions.SessionStore`."""

    def __init__(self, accounts: MemoryAccounts, clock: Clock) -> None:
        self.sessions: dict[str, RenewableLogin] = {}
        self.user_agents: dict[str, str] = {}
        self.ended: list[tuple[int, str, float]] = []
        self.revoked: list[str] = []
        self.earliest: dict[int, int] = {}
        self.banned: set[int] = set()
        self._accounts = accounts
        self._clock = clock

    async def add(
        self,
        user_id: int,
        session_id: str,
        secret: str,
        digest: str,
        created_at: int,
        expires_at: int,
        user_agent: str = "",
    ) -> None:
        self.user_agents[session_id] = user_agent
        person = next(each.person for each in self._accounts.accounts.values() if each.person.id == user_id)
        now = int(self._clock.seconds)
        self.sessions[session_id] = RenewableLogin(session_id, person, secret, digest, "", created_at, now, expires_at)

    async def find(self, session_id: str) -> RenewableLogin | None:
        return self.sessions.get(session_id)

    async def rotate(self, session_id: str, digest: str, successor: str, expires_at: int) -> bool:
        session = self.sessions.get(session_id)
        if session is None or session.digest != digest:
            return False
        self.sessions[session_id] = replace(
            session,
            digest=successor,
            previous_digest=digest,
            rotated_at=int(self._clock.seconds),
            expires_at=expires_at,
        )
        return True

    async def end(self, user_id: int, session_id: str, access_expires_at: float) -> None:
        self.ended.append((user_id, session_id, access_expires_at))
        self.sessions.pop(session_id, None)

    async def end_existing(self, user_id: int, session_id: str, access_expires_at: float) -> bool:
        session = self.sessions.get(session_id)
        if session is None or session.person.id != user_id:
            return False
        await self.end(user_id, session_id, access_expires_at)
        return True

    async def of_user(self, user_id: int) -> list[LoginListing]:
        return [
            LoginListing(key, each.created_at, each.rotated_at, each.expires_at, self.user_agents[key])
            for key, each in self.sessions.items()
            if each.person.id == user_id
        ]

    async def end_all(self, user_id: int) -> None:
        self.earliest[user_id] = int(self._clock.seconds) + 1
        self.sessions = {key: each for key, each in self.sessions.items() if each.person.id != user_id}

    async def revoke_token(self, user_id: int, jti: str, expires_at: float) -> None:
        self.revoked.append(jti)

    async def is_revoked(self, user_id: int, jti: str, session_id: str) -> bool:
        return jti in self.revoked or any(session_id == ended for _, ended, _ in self.ended)

    async def earliest_iat(self, user_id: int, jti: str = "", session_id: str = "") -> int:
        return self.earliest.get(user_id, 0)

    async def is_banned(self, user_id: int) -> bool:
        return user_id in self.banned
