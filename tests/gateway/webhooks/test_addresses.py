"""Which addresses a webhook may be at."""

import asyncio
import socket
from typing import Any

import pytest

from gateway.errors import SendFailed
from gateway.webhooks.addresses import Target, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
    ],
)
def test_private_address_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_address_is_allowed(address: str) -> None:
    assert is_public(address)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Names resolve to these; the names that were asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        if not addresses:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    return asked


async def test_name_of_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "10.0.0.1", "127.0.0.1")
    with pytest.raises(SendFailed, match="private address"):
        await Target("hooks.example", 443, allows_private=False).address()


async def test_checked_address_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolve_to(monkeypatch, "10.0.0.1", "93.184.216.34")
    target = Target("hooks.example", 443, allows_private=False)
    assert await target.address() == "93.184.216.34"
    assert await target.address() == "93.184.216.34"
    assert asked == ["hooks.example"]
    target.forget()
    await target.address()
    assert len(asked) == 2


async def test_unknown_name_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch)
    with pytest.raises(SendFailed, match="unresolved"):
        await Target("nowhere.example", 443, allows_private=True).address()


async def test_address_in_the_url_is_checked_too() -> None:
    with pytest.raises(SendFailed, match="private address"):
        await Target("::1", 8000, allows_private=False).address()
    assert await Target("::1", 8000, allows_private=True).address() == "::1"
