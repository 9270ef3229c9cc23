"""A user of a running system: logs in, registers if the login is new, and finds the chat to talk in."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import httpx

from gateway.errors import CommandError

WITHIN_S: Final = 10.0
ASK_AGAIN_S: Final = 2.0
"""While the other user has not registered."""


class TerminalUser:
    """The user of a terminal. `base` is the URL of the system; `say` shows a line about what happens."""

    def __init__(self, base: str, login: str, password: str, say: Callable[[str], None]) -> None:
        self._base = base.rstrip("/")
        self._login = login
        self._password = password
        self._say = say
        self._token = ""

    async def token(self, *, is_rejected: bool = False) -> str:
        """An access token; another one if the last was rejected.

        Raises: CommandError.
        """
        if not self._token or is_rejected:
            account = {"login": self._login, "password": self._password}
            answer = await self._post("/login", account)
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                await self._register(account, answer)
                answer = await self._post("/login", account)
            self._token = _json(answer, HTTPStatus.OK)["access_token"]
        return self._token

    async def _register(self, account: dict[str, str], refusal: httpx.Response) -> None:
        answer = await self._post("/register", account)
        if answer.status_code == HTTPStatus.CONFLICT:  # the login is somebody's, so the password was wrong
            answer = refusal
        _json(answer, HTTPStatus.CREATED)
        self._say(f"* {self._login} is a new user.")

    async def chat_with(self, other: str) -> int:
        """The id of the direct chat with this user, who may still have to register.

        Raises: CommandError.
        """
        is_waiting = False
        while True:
            answer = await self._post("/api/v1/chats", {"kind": "direct", "members": [{"login": other}]}, is_user=True)
            if _detail(answer) != f'There is no user with the login "{other}".':
                return int(_json(answer, HTTPStatus.CREATED, HTTPStatus.OK)["id"])
            if not is_waiting:
                self._say(f"* Waiting for {other} to register: chat-gateway chat --as {other} --with {self._login}")
                is_waiting = True
            await asyncio.sleep(ASK_AGAIN_S)

    async def chat_id(self, name: str) -> int:
        """The id of the chat with this id, or with `key:` and its key.

        Raises: CommandError.
        """
        return int(_json(await self._request("GET", f"/api/v1/chats/{name}", is_user=True), HTTPStatus.OK)["id"])

    async def _post(self, path: str, body: object, *, is_user: bool = False) -> httpx.Response:
        return await self._request("POST", path, body, is_user=is_user)

    async def _request(self, method: str, path: str, body: object = None, *, is_user: bool = False) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self.token()}"} if is_user else {}
        try:
            async with httpx.AsyncClient(timeout=WITHIN_S) as client:
                return await client.request(method, self._base + path, json=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise CommandError(
                f"{self._base} does not answer: {reason}. Give the URL of the system with --url."
            ) from None


def _json(answer: httpx.Response, *expected: HTTPStatus) -> dict[str, Any]:
    """The body of a response with one of these statuses.

    Raises: CommandError, with what the problem document says.
    """
    if answer.status_code in expected:
        body: dict[str, Any] = answer.json()
        return body
    try:
        problem = answer.json()
        texts = [error["detail"] for error in problem.get("errors", ())] or [problem["detail"]]
    except (ValueError, KeyError, TypeError):
        texts = [f"{answer.request.url} answers {answer.status_code}, which no chat-gateway does here."]
    raise CommandError(" ".join(texts))


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
