"""`chat-gateway users`, `chats`, `token` and `audit` on a database that a gateway uses."""

import asyncio
import io
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from gateway.cli import main
from tests.support.cluster import run_cluster
from tests.support.keys import KEYS_SECRET
from tests.support.migrated import make_store

PASSWORD = "a long enough passphrase"
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs a command with this standard input; returns its exit code and what it prints, errors included."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APP_ENV", "development")
    monkeypatch.setenv("KEYS_SECRET", KEYS_SECRET)

    def run(*words: str, typed: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = main(words)
        printed = capsys.readouterr()
        return status, printed.out + "".join(
            line for line in printed.err.splitlines(True) if line.startswith("chat-gateway: ")
        )

    return run


async def _closed(socket: ClientConnection) -> int:
    """The close code, once the other side closes."""
    await socket.wait_closed()
    return socket.close_code or 0


async def test_operator_changes_a_running_system(
    tmp_path: Path, redis_url: str, postgres_url: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)

    async def run(*words: str, typed: str = "") -> str:
        status, text = await asyncio.to_thread(command, *words, typed=typed)
        assert status == 0, text
        return text

    async with run_cluster(tmp_path / "nodes", redis_url, postgres_url, nodes=1) as cluster:
        ids = {}
        for name in ("ann", "bob", "eve"):
            made = await run("users", "create", name, "--first-name", name.title(), typed=f"{PASSWORD}\n")
            ids[name] = int(made.split()[1].rstrip(","))
            assert made == f"User {ids[name]}, {name}, is created.\n"
        created = await run("chats", "create", "--title", "Team", "--key", "team", "--owner", "ann", "bob", "ann")
        chat_id = int(created.split()[1])
        assert created == f"Chat {chat_id} is created, with 2 members.\n"
        again = await run("chats", "create", "--title", "Team", "--key", "team", "--owner", "ann")
        assert again == f"Chat {chat_id} is there already, with 2 members.\n"
        assert await run("chats", "add-member", "key:team", str(ids["eve"])) == "eve is a member, as member.\n"
        shown = [" ".join(line.split()) for line in (await run("chats", "show", "key:team")).splitlines()]
        assert shown[:5] == [f"id {chat_id}", "kind group", "title Team", "key team", f"owner {ids['ann']}"]
        assert shown[-3:] == [f"member {ids[name]} {name} member" for name in ids]

        tokens = {name: (await run("token", "mint", name)).strip() for name in ids}
        inspected = await run("token", "inspect", tokens["ann"])
        assert f"sub         {ids['ann']}\n" in inspected
        assert "The token is valid for " in inspected
        node = cluster.nodes[0]
        sockets = {name: await connect(node.chat_url(chat_id, token=token)) for name, token in tokens.items()}
        assert await run("users", "ban", "ann", "--until", "2999-01-01", "--reason", "spam") == (
            f"User {ids['ann']}, ann, is banned until 2999-01-01T00:00:00Z.\n"
        )
        assert await _closed(sockets["ann"]) == 4408
        assert await asyncio.to_thread(command, "token", "inspect", typed=tokens["ann"]) == (
            1,
            f"{inspected.rpartition('The token')[0]}chat-gateway: The token is rejected: its user is banned.\n",
        )
        about = await run("users", "show", "ANN")
        assert "banned until  2999-01-01T00:00:00Z: spam\n" in about
        assert f"chat          {chat_id} group Team\n" in about
        assert "is no longer banned" in await run("users", "unban", "ann")
        assert "is not banned" in await run("user", "unban", "ann")
        assert await run("chats", "remove-member", "key:team", "bob") == "bob is no longer a member.\n"
        assert await _closed(sockets["bob"]) == 4403
        assert f"{chat_id:<8} group " in await run("chats", "list", "eve")
        assert (await asyncio.to_thread(command, "chats", "remove", str(chat_id)))[0] == 1
        assert await run("chats", "remove", str(chat_id), "--yes")
        assert await _closed(sockets["eve"]) == 4403
        assert await run("chats", "list", "eve") == ""

    records = [json.loads(line) for line in (await run("audit", "--actor", "operator", "--json")).splitlines()]
    assert [record["event"] for record in reversed(records)] == [
        *["account_created"] * 3,
        "chat_created",
        "member_added",
        "user_banned",
        "user_unbanned",
        "member_removed",
        "chat_removed",
    ]
    (line,) = (await run("audit", "--event", "user_banned", "--target", f"user:{ids['ann']}")).splitlines()
    assert line.endswith(f" ok user_banned by operator user:{ids['ann']} reason=spam until=32472144000")
    assert len((await run("audit", "--limit", "2")).splitlines()) == 2
    assert await run("audit", "--until", "2020-01-01") == ""


async def test_mistakes_are_named(command: Command, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    await make_store(sqlite_url)

    async def error(*words: str, typed: str = "") -> str:
        status, text = await asyncio.to_thread(command, *words, typed=typed)
        assert status == 1, text
        assert text.startswith("chat-gateway: ")
        return text.removeprefix("chat-gateway: ").rstrip("\n")

    assert (await asyncio.to_thread(command, "users", "create", "ann", typed=PASSWORD))[0] == 0
    assert await error("users", "create", "Ann", typed=PASSWORD) == "The login Ann is taken."
    assert await error("users", "create", "a b", typed="short") == (
        "A login has 3 to 64 characters: Latin letters, digits and ._@+- A password has at least 8 characters."
    )
    assert await error("users", "show", "nobody") == "There is no user with the login nobody."
    assert await error("users", "show", "999") == "There is no user with the id 999."
    assert await error("users", "show", "99999999999999999999999") == (
        "There is no user with the id 99999999999999999999999."
    )
    assert await error("users", "show", "sub:x") == "No user has the subject x."
    assert await error("users", "ban", "ann", "--until", "2001-01-01") == "A ban ends in the future."
    assert await error("users", "ban", "ann", "--until", "soon") == (
        "soon is no time; give one like 2030-01-01T12:00:00Z or 2030-01-01."
    )
    assert await error("users", "ban", "ann", "--reason", "x" * 501) == "A reason has at most 500 characters."
    assert await error("chats", "show", "999") == "There is no chat 999."
    assert await error("chats", "show", "key:none") == "There is no chat key:none."
    assert await error("chats", "add-member", "999", "ann") == "There is no chat 999."
    assert await error("chats", "remove-member", "999", "ann") == "There is no chat 999."
    assert await error("chats", "remove", "999", "--yes") == "There is no chat 999."
    assert "title" in await error("chats", "create", "--title", "\x07")
    assert "key" in await error("chats", "create", "--key", "a b")
    assert await error("audit", "--event", "nothing") != ""
    assert await error("audit", "--target", "ann") == "A target is like user:42 or chat:7."
    assert await error("token", "inspect", "no token") == "This is no signed token: malformed."
    monkeypatch.setenv("APP_ENV", "production")
    assert await error("token", "mint", "ann") == (
        "Tokens are minted in development only. (APP_ENV=development allows it.)"
    )


async def test_hostile_token_is_shown_harmless(
    command: Command, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    await make_store(sqlite_url)
    claims = {"iss": "\x1b[2J\x9b31m", "exp": 1e300, "iat": -1e18, "x\ny": "\nThe token is valid for 9 s.\u202e"}
    parts = ({"alg": "ES256", "kid": "k"}, claims)
    token = ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".AAAA"
    status, text = await asyncio.to_thread(command, "token", "inspect", typed=token)
    lines = text.splitlines()
    assert (status, len(lines), "is valid" in lines[-1]) == (1, 7, False)
    assert all(line.isprintable() for line in lines)
    assert [line.split()[0] for line in lines] == ["alg", "kid", "iss", "exp", "iat", "x\ufffdy", "chat-gateway:"]
    assert lines[3].split()[1:] == ["1e+300"]


def test_database_without_tables_is_named(command: Command, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    status, text = command("users", "show", "ann")
    assert (status, "chat-gateway migrate" in text) == (1, True)
