"""Accounts of the target, registered through its API once and kept in a file for the next run.

Registration and login each cost the target an argon2 hash, some 0.1 s of a core and 64 MiB: so accounts are created
before the run starts, a few at a time, and a token is reused while it is valid.
"""

import logging
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from loadtests.participants import Kind, Plan, Seat

AT_A_TIME: Final = 8
SAVE_EVERY: Final = 200
TRIES: Final = 8
GOOD_FOR_S: Final = 600.0
"""Required remaining lifetime of a token at the start of a run."""

logger = logging.getLogger("loadtests")


class TargetRefused(Exception):
    """The target rejects a call that prepares the run."""


@dataclass(slots=True)
class Account:
    """A user that exists on the target."""

    id: int
    login: str
    password: str
    token: str = ""
    expires_at: float = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that authenticate this user."""
        return {"Authorization": f"Bearer {self.token}"}


class Accounts:
    """The accounts of the file on one target.

    The methods block and raise TargetRefused with a message for the operator of the run.
    """

    def __init__(self, base_url: str, file: Path) -> None:
        self._base_url = base_url
        self._file = file
        self._limits = httpx.Limits(max_connections=AT_A_TIME)
        stored = orjson.loads(file.read_bytes()) if file.exists() else {}
        self._all = [Account(**fields) for fields in stored.get(base_url, [])]

    def people(self, count: int) -> list[Account]:
        """This number of accounts, each with a token that is valid for at least GOOD_FOR_S."""
        with self._http() as http, ThreadPoolExecutor(AT_A_TIME) as threads:
            while (missing := count - len(self._all)) > 0:
                logger.info("Registering: %d accounts of %d are there", len(self._all), count)
                self._all += threads.map(lambda _: self._register(http), range(min(missing, SAVE_EVERY)))
                self._save()
            people = self._all[:count]
            expired = [one for one in people if one.expires_at < time.time() + GOOD_FOR_S]
            for start in range(0, len(expired), SAVE_EVERY):
                logger.info("Logging in: %d of %d", start, len(expired))
                list(threads.map(lambda account: self._log_in(http, account), expired[start : start + SAVE_EVERY]))
                self._save()
        return people

    def seats(self, plan: Plan) -> list[Seat]:
        """Create the planned chats; each user has one seat."""
        people = self.people(plan.people)
        groups = [(Kind.PAIR, people[start : start + 2]) for start in range(0, 2 * plan.pairs, 2)]
        start = 2 * plan.pairs
        for size in plan.rooms:
            groups.append((Kind.ROOM, people[start : start + size]))
            start += size
        with self._http() as http, ThreadPoolExecutor(AT_A_TIME) as threads:
            chats = list(threads.map(lambda group: self._chat(http, *group), groups))
        logger.info("%d people in %d chats are ready", len(people), len(chats))
        return [
            Seat(kind, account.login, account.password, account.token, chat_id)
            for (kind, members), chat_id in zip(groups, chats, strict=True)
            for account in members
        ]

    def _http(self) -> httpx.Client:
        return httpx.Client(base_url=self._base_url, limits=self._limits, timeout=60)

    def _register(self, http: httpx.Client) -> Account:
        login, password = f"load-{secrets.token_hex(8)}", secrets.token_urlsafe(18)
        made = _post(http, "/register", {"login": login, "password": password})
        return Account(made["id"], login, password)

    def _log_in(self, http: httpx.Client, account: Account) -> None:
        try:
            token = _post(http, "/login", {"login": account.login, "password": account.password})
        except TargetRefused as error:
            why = f"the target does not know accounts of {self._file}: delete it, if the target's database is a new one"
            raise TargetRefused(f"{error}; {why}") from None
        account.token, account.expires_at = token["access_token"], time.time() + token["expires_in"]
        http.cookies.clear()  # no cookies: every call has its own token

    def _chat(self, http: httpx.Client, kind: Kind, members: list[Account]) -> int:
        """A chat of these users; two users always have the same `direct` chat."""
        others = [{"user_id": account.id} for account in members[1:]]
        body = {"kind": "direct" if kind is Kind.PAIR else "group", "members": others}
        chat_id: int = _post(http, "/api/v1/chats", body, members[0].headers)["id"]
        return chat_id

    def _save(self) -> None:
        """Write the file, readable by its owner only: it has passwords."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        stored = orjson.loads(self._file.read_bytes()) if self._file.exists() else {}
        stored[self._base_url] = [asdict(account) for account in self._all]
        fresh = self._file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(orjson.dumps(stored))
        fresh.replace(self._file)


def log_in(base_url: str, login: str, password: str) -> str:
    """A new token for a user whose token expired; blocks.

    Raises: TargetRefused.
    """
    with httpx.Client(base_url=base_url, timeout=60) as http:
        token: str = _post(http, "/login", {"login": login, "password": password})["access_token"]
        return token


def _post(http: httpx.Client, path: str, body: object, headers: dict[str, str] | None = None) -> Any:
    """The response to a call; 429 and 503 are retried after their Retry-After.

    Raises: TargetRefused, also if the target does not respond.
    """
    for attempt in range(TRIES):
        try:
            answer = http.post(path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise TargetRefused(f"POST {http.base_url.join(path)} → {error or type(error).__name__}") from None
        if answer.is_success:
            return answer.json()
        if answer.status_code not in {429, 503}:
            break
        time.sleep(float(answer.headers.get("Retry-After", 0)) or 2.0**attempt / 4)
    raise TargetRefused(f"POST {path} → {answer.status_code} {answer.text[:200]}")
