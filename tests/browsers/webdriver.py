"""Sessions of WebDriver (W3C): over HTTP with a driver, and directly with Firefox's Marionette.

Debian has no geckodriver, which only translates between the two: Marionette knows the commands by the same names.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

import httpx

COMMAND_S: Final = 60
"""The bound of a command; it asserts no speed."""
ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
_HTTP: Final = {
    "Navigate": "POST /url",
    "Refresh": "POST /refresh",
    "ExecuteScript": "POST /execute/sync",
    "FindElement": "POST /element",
    "ElementClick": "POST /element/{id}/click",
    "ElementSendKeys": "POST /element/{id}/value",
    "PerformActions": "POST /actions",
    "SetWindowRect": "POST /window/rect",
    "TakeScreenshot": "GET /screenshot",
}


class WebDriverError(Exception):
    """The browser's own error."""


class Session(Protocol):
    """An open session."""

    async def call(self, command: str, **parameters: Any) -> Any:
        """The value of a command. Raises: WebDriverError."""

    async def close(self) -> None:
        """End it; the browser may be gone."""


class HttpSession:
    """A session with a driver."""

    def __init__(self, client: httpx.AsyncClient, path: str) -> None:
        self._client = client
        self._path = path

    @classmethod
    async def open(cls, port: int, capabilities: Mapping[str, Any]) -> "HttpSession":
        """A new session. Raises: WebDriverError."""
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=COMMAND_S)
        body = {"capabilities": {"alwaysMatch": capabilities}}
        value = _value((await client.post("/session", json=body)).json())
        return cls(client, f"/session/{value['sessionId']}")

    async def call(self, command: str, **parameters: Any) -> Any:
        method, path = _HTTP[command].split()
        body = parameters if method == "POST" else None
        response = await self._client.request(method, self._path + path.format(**parameters), json=body)
        return _value(response.json())

    async def close(self) -> None:
        await self._client.aclose()


def _value(answer: Mapping[str, Any]) -> Any:
    value = answer["value"]
    if isinstance(value, dict) and "error" in value:
        raise WebDriverError(f"{value['error']}: {value['message']}")
    return value


class MarionetteSession:
    """A session with Firefox: JSON arrays behind their length, commands one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0

    @classmethod
    async def open(cls, port: int, capabilities: Mapping[str, Any]) -> "MarionetteSession":
        """A new session. Raises: WebDriverError."""
        session = cls(*await asyncio.open_connection("127.0.0.1", port))
        await session._read()  # who it is
        await session.call("NewSession", **capabilities)
        return session

    async def call(self, command: str, **parameters: Any) -> Any:
        self._number += 1
        text = json.dumps([0, self._number, f"WebDriver:{command}", parameters])
        self._writer.write(f"{len(text.encode())}:{text}".encode())
        async with asyncio.timeout(COMMAND_S):
            _, number, error, result = await self._read()
        assert number == self._number
        if error is not None:
            raise WebDriverError(f"{error['error']}: {error['message']}")
        return result.get("value", result)

    async def _read(self) -> Any:
        length = await self._reader.readuntil(b":")
        return json.loads(await self._reader.readexactly(int(length[:-1])))

    async def close(self) -> None:
        self._writer.close()
