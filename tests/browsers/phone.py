"""A person who uses the page on a phone, and the other one, who talks through the Python client."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count

import httpx
from chat_gateway_client import Client, Message

from tests.browsers.browser import LIMIT_S, Browser
from tests.faults.links import Link

PASSWORD = "a long enough passphrase"
_numbers = count(1)


@dataclass(frozen=True)
class Account:
    """A registered user."""

    login: str
    token: str


async def register(http: httpx.AsyncClient, name: str) -> Account:
    """Register a new user, as whom `http` then acts."""
    login = f"{name}{next(_numbers)}"
    account = {"login": login, "password": PASSWORD}
    (await http.post("/register", json=account)).raise_for_status()
    token = (await http.post("/login", json=account)).raise_for_status().json()["access_token"]
    http.headers["Authorization"] = f"Bearer {token}"
    return Account(login, token)


class Phone:
    """Ann, who has the page or the application open."""

    def __init__(self, browser: Browser, link: Link) -> None:
        self.browser = browser
        self._url = f"http://127.0.0.1:{link.port}"

    async def open(self, path: str) -> None:
        """Load a page."""
        await self.browser.goto(self._url + path)

    async def register(self) -> str:
        """Create an account on the page; returns its login."""
        login = f"ann{next(_numbers)}"
        await self.open("/")
        await self.browser.tap("#login-switch")
        await self.browser.type("[name=login]", login)
        await self.browser.type("[name=password]", PASSWORD)
        await self.browser.tap("#login-submit")
        await self.browser.until("document.querySelector('#my-name').textContent === arguments[0]", login)
        return login

    async def start_chat_with(self, login: str) -> None:
        """Start a chat on the page, and wait until it is connected."""
        await self.browser.tap("#new-chat")
        await self.browser.type("[name=logins]", login)
        await self.browser.tap("#new-submit")
        await self.browser.until("document.querySelector('#node').dataset.state === 'live'")

    async def say(self, text: str) -> None:
        """Type a message and touch the button that sends it."""
        await self.browser.type("#text", text)
        await self.browser.tap(".send")

    async def shows(self, texts: Sequence[str]) -> None:
        """Wait until exactly these messages are shown, in this order, and none waits to be sent."""
        script = "JSON.stringify([...document.querySelectorAll('.message .text')].map((one) => one.textContent))"
        await self.browser.until(f"{script} === JSON.stringify(arguments[0])", list(texts))
        await self.browser.until("!document.querySelector('.pending, .failed')")

    async def fits(self) -> bool:
        """Whether nothing of the page is beside the screen."""
        return bool(await self.browser.run("return document.scrollingElement.scrollWidth <= innerWidth"))


class Other:
    """Bob, in the chat with Ann."""

    def __init__(self, client: Client, http: httpx.AsyncClient) -> None:
        self._client = client
        self._http = http
        self._chat_id = 0
        self._ann = 0

    async def join(self, ann: str) -> None:
        """Subscribe to the only chat, which is with the user of that login."""
        (chat,) = (await self._http.get("/api/v1/chats")).raise_for_status().json()["chats"]
        (self._ann,) = (member["user_id"] for member in chat["members"] if member["username"] == ann)
        self._chat_id = chat["id"]
        await self._client.subscribe(self._chat_id)

    async def say(self, text: str) -> None:
        """Returns when the message is stored."""
        await self._client.send(self._chat_id, text)

    async def hears(self, texts: Sequence[str]) -> None:
        """Wait for exactly these messages, in this order, his own included."""
        heard: list[str] = []
        async for event in self._client.events():
            if isinstance(event, Message):
                heard.append(event.text)
                assert heard == list(texts[: len(heard)])
            if len(heard) == len(texts):
                return

    async def sees_her_leave(self) -> None:
        """Wait until no node has a connection of Ann."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                found = await self._http.get("/api/v1/users/presence", params={"ids": self._ann})
                if not any(user["online"] for user in found.raise_for_status().json()["users"]):
                    return
                await asyncio.sleep(0.5)


Conversation = AbstractAsyncContextManager[tuple[Phone, Other]]


@asynccontextmanager
async def on_the_page(browser: Browser, link: Link, url: str) -> AsyncIterator[tuple[Phone, Other]]:
    """Ann on the page and Bob, with their chat open; only Ann's way is `link`."""
    phone = Phone(browser, link)
    async with httpx.AsyncClient(base_url=url) as http:
        bob = await register(http, "bob")
        login = await phone.register()
        await phone.start_chat_with(bob.login)
        async with Client(url, bob.token) as client:
            other = Other(client, http)
            await other.join(login)
            yield phone, other


@asynccontextmanager
async def in_the_application(browser: Browser, link: Link, url: str) -> AsyncIterator[tuple[Phone, Other]]:
    """Ann in the application on the JavaScript client, and Bob."""
    phone = Phone(browser, link)
    async with httpx.AsyncClient(base_url=url) as anns, httpx.AsyncClient(base_url=url) as bobs:
        ann, bob = await register(anns, "ann"), await register(bobs, "bob")
        chat = {"kind": "group", "members": [{"login": bob.login}]}
        chat_id = (await anns.post("/api/v1/chats", json=chat)).raise_for_status().json()["id"]
        async with Client(url, bob.token) as client:
            other = Other(client, bobs)
            await other.join(ann.login)
            await phone.open(f"/app/#{ann.token},{chat_id}")
            yield phone, other
