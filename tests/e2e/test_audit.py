"""The audit log of running processes: every event, no secret, bounded under a flood, independent of the database."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from auth.accounts.second_factor import STEP_S, code_at
from httpapi.audit.events import Event
from httpapi.audit.sampling import REFUSALS_OF_ADDRESS
from storage.database.database import open_database
from storage.records import ChatKind
from tests.e2e.audit_world import ADMIN, ADMIN_KEY, BANK, BANK_KEY, KEYS, PASSWORD, SHOP, World, run_world
from tests.support.cluster import User, run_cluster
from tests.support.servers import PostgresServer
from tests.support.waiting import eventually


@pytest.fixture
async def world(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[World]:
    async with run_world(tmp_path, redis_url, sqlite_url) as world:
        yield world


async def refused_handshake(world: World, path: str, user: User | None) -> int:
    headers = {} if user is None else user.headers
    with pytest.raises(InvalidStatus) as refused:
        async with connect(world.cluster.nodes[0].ws_url(path), additional_headers=headers, proxy=None):
            pass
    return refused.value.response.status_code


async def cause_auth_events(world: World) -> set[Event]:
    """What auth records: of accounts, logins and guests, and of the commands."""
    account = {"login": "audited", "password": PASSWORD}
    user_id = (await world.ask_auth("/register", account)).json()["id"]
    await world.record(Event.ACCOUNT_CREATED, result="ok", user_id=user_id, login="audited", actor="anonymous")
    assert (await world.ask_auth("/login", account | {"password": "wrong"})).status_code == 401
    await world.record(Event.LOGIN, result="denied", actor="anonymous", user_id=user_id, reason="wrong_password")
    granted = (await world.ask_auth("/login", account | {"refresh": "body"})).json()
    login = await world.record(Event.LOGIN, result="ok", actor=f"user:{user_id}", user_id=user_id)
    assert login["facts"]["session"] and login["address"] == "127.0.0.1" and login["node"].startswith("auth-")
    form = {"username": "audited", "password": PASSWORD}
    url = f"{world.auth.url}/api/v1/login/access-token"
    assert (await world.http.post(url, data=form)).status_code == 200
    operation = "POST /api/v1/login/access-token"
    await world.record(Event.LOGIN, result="ok", operation=operation, actor=f"user:{user_id}", login="audited")
    assert (await world.http.post(url, data=form | {"password": "x"})).status_code == 400
    await world.record(Event.LOGIN, result="denied", operation=operation, reason="wrong_password")

    first = {"refresh_token": granted["refresh_token"]}
    renewed = (await world.ask_auth("/api/v1/login/refresh", first)).json()
    await world.record(Event.LOGIN_RENEWED, result="ok", actor=f"user:{user_id}", session=login["facts"]["session"])
    assert (await world.ask_auth("/api/v1/login/refresh", {"refresh_token": "none"})).status_code == 401
    await world.record(Event.LOGIN_RENEWED, result="denied", actor="anonymous", reason="ended")
    again = (await world.ask_auth("/api/v1/login/refresh", {"refresh_token": renewed["refresh_token"]})).json()
    last = {"refresh_token": again["refresh_token"]}
    assert (await world.ask_auth("/api/v1/logout", last)).status_code == 204
    await world.record(Event.LOGOUT, result="ok", actor=f"user:{user_id}", session=login["facts"]["session"])
    assert (await world.ask_auth("/api/v1/logout")).status_code == 204  # ends nothing
    await steal(world, account, user_id)

    await cause_credential_events(world, user_id)
    guest = {"username": "g", "email": "g@example.com", "room_id": "room1"}
    assert (await world.ask_auth("/generate-token", guest, **BANK)).status_code == 200
    await world.record(Event.GUEST_TOKEN_ISSUED, result="ok", actor="service:bank", room_id="room1")
    assert (await world.ask_auth("/generate-token", guest)).status_code == 403
    await world.record(Event.GUEST_TOKEN_ISSUED, result="denied", actor="anonymous")
    kid = await asyncio.to_thread(world.command, "rotate-key")
    await world.record(Event.KEY_ROTATED, actor="operator", kid=kid)
    await asyncio.to_thread(world.command, "migrate", "--restored")
    await world.record(Event.STORE_RESTORED, actor="operator")
    assert len(await world.records(event="logout")) == 1
    return {
        Event.ACCOUNT_CREATED,
        Event.LOGIN,
        Event.LOGIN_RENEWED,
        Event.LOGOUT,
        Event.GUEST_TOKEN_ISSUED,
        *CREDENTIAL_EVENTS,
        Event.KEY_ROTATED,
        Event.STORE_RESTORED,
    }


CREDENTIAL_EVENTS = {
    Event.INVITATION_CREATED,
    Event.PASSWORD_CHANGED,
    Event.PASSWORD_RESET_ASKED,
    Event.PASSWORD_RESET,
    Event.SECOND_FACTOR_ADDED,
    Event.SECOND_FACTOR_REMOVED,
}


async def cause_credential_events(world: World, user_id: int) -> None:
    """What users do to their passwords and second factors, and invitations."""
    place: dict[str, Any] = {"actor": f"user:{user_id}", "user_id": user_id}
    assert (await world.ask_auth("/api/v1/invitations", {}, **BANK)).status_code == 201
    await world.record(Event.INVITATION_CREATED, result="ok", actor="service:bank")
    granted = (await world.ask_auth("/login", {"login": "audited", "password": PASSWORD})).json()
    own = {"Authorization": f"Bearer {granted['access_token']}"}
    change = {"current_password": PASSWORD, "new_password": PASSWORD}
    assert (await world.ask_auth("/api/v1/password", change, **own)).status_code == 204
    await world.record(Event.PASSWORD_CHANGED, result="ok", **place)
    wrong = change | {"current_password": "wrong"}
    assert (await world.ask_auth("/api/v1/password", wrong, **own)).status_code == 403
    await world.record(Event.PASSWORD_CHANGED, result="denied", reason="wrong_password", **place)
    assert (await world.ask_auth("/api/v1/password/reset", {"login": "audited"})).status_code == 403  # no hook
    await world.record(Event.PASSWORD_RESET_ASKED, result="denied", actor="anonymous")
    confirmed = {"token": "pwr_none", "new_password": PASSWORD}
    assert (await world.ask_auth("/api/v1/password/reset/confirm", confirmed)).status_code == 403
    await world.record(Event.PASSWORD_RESET, result="denied", actor="anonymous")
    factor = (await world.ask_auth("/api/v1/totp", {"current_password": PASSWORD}, **own)).json()
    otp = {"otp": code_at(factor["secret"], int(time.time()) // STEP_S).decode()}
    assert (await world.ask_auth("/api/v1/totp/confirm", otp, **own)).status_code == 200
    await world.record(Event.SECOND_FACTOR_ADDED, result="ok", **place)
    otp = {"otp": code_at(factor["secret"], int(time.time()) // STEP_S + 1).decode()}
    removed = {"current_password": PASSWORD, **otp}
    answer = await world.http.request("DELETE", f"{world.auth.url}/api/v1/totp", json=removed, headers=own)
    assert answer.status_code == 204, answer.text
    await world.record(Event.SECOND_FACTOR_REMOVED, result="ok", **place)


async def steal(world: World, account: dict[str, str], user_id: int) -> None:
    """A refresh token is used again after its successor's successor was issued."""
    tokens = [(await world.ask_auth("/login", account | {"refresh": "body"})).json()["refresh_token"]]
    for _ in range(2):
        answer = await world.ask_auth("/api/v1/login/refresh", {"refresh_token": tokens[-1]})
        tokens.append(answer.json()["refresh_token"])
    assert (await world.ask_auth("/api/v1/login/refresh", {"refresh_token": tokens[0]})).status_code == 401
    await world.record(Event.LOGIN_RENEWED, result="denied", actor="anonymous", user_id=user_id, reason="reused")


async def cause_moderation_events(world: World) -> set[Event]:
    """What services do to users: each event as ok, and denied without the scope."""
    user = await world.cluster.user()
    path = f"/api/v1/users/{user.id}"
    calls: list[tuple[Event, str, str, Any, dict[str, Any]]] = [
        (Event.USER_CHANGED, "PATCH", path, {"display_name": "Ann"}, {}),
        (Event.USER_DISCONNECTED, "POST", f"{path}/disconnect", {"client_id": "phone"}, {"client_id": "phone"}),
        (Event.TOKENS_REVOKED, "POST", f"{path}/revoke", {"jti": "j-1"}, {"jti": "j-1"}),
        (Event.USER_BANNED, "PUT", f"{path}/ban", {"reason": "spam"}, {"reason": "spam"}),
        (Event.USER_UNBANNED, "DELETE", f"{path}/ban", None, {}),
        (Event.STAFF_ADDED, "PUT", f"{path}/staff", None, {}),
        (Event.STAFF_REMOVED, "DELETE", f"{path}/staff", None, {}),
        (Event.USER_ERASED, "DELETE", f"{path}?messages=erase", None, {"kind": "erase"}),
    ]
    for event, method, url, body, facts in calls:
        answer = await world.call(method, url, body, **BANK)
        assert answer.status_code < 300, answer.text
        request_id = answer.headers["x-request-id"]
        await world.record(
            event,
            result="ok",
            actor="service:bank",
            user_id=user.id,
            request_id=request_id,
            address="127.0.0.1",
            **facts,
        )
        assert (await world.call(method, url, body, **SHOP)).status_code == 403
        await world.record(event, result="denied", actor="service:shop", user_id=user.id, status=403)
    return {event for event, *_ in calls}


async def cause_chat_events(world: World) -> set[Event]:
    """What owners do in a public chat, from which a user is barred."""
    ann, bob = await world.cluster.user("ann"), await world.cluster.user("bob")
    actor = f"user:{ann.id}"
    chat_id = (await world.call("POST", "/api/v1/chats", {"kind": "group"}, **ann.headers)).json()["id"]
    await world.record(Event.CHAT_CREATED, result="ok", actor=actor, chat_id=chat_id, kind="group", members=1)
    assert (await world.call("PATCH", f"/api/v1/chats/{chat_id}", {"title": "x"}, **ann.headers)).status_code == 200
    await world.record(Event.CHAT_CHANGED, result="ok", actor=actor, chat_id=chat_id)
    assert (await world.call("DELETE", f"/api/v1/chats/{chat_id}", **ann.headers)).status_code == 204
    await world.record(Event.CHAT_REMOVED, result="ok", actor=actor, chat_id=chat_id)
    public = await world.cluster.chat(ann, kind=ChatKind.PUBLIC)
    members = f"/api/v1/chats/{public}/members"
    assert (await world.call("POST", members, {"user_id": bob.id}, **ann.headers)).status_code == 201
    place = {"chat_id": public, "user_id": bob.id}
    await world.record(Event.MEMBER_ADDED, result="ok", actor=actor, role="member", **place)
    assert (await world.call("POST", members, {"user_id": bob.id}, **ann.headers)).status_code == 200  # no change
    changed = await world.call("PATCH", f"{members}/{bob.id}", {"role": "reader"}, **ann.headers)
    assert changed.status_code == 200
    await world.record(Event.MEMBER_CHANGED, result="ok", actor=actor, role="reader", **place)
    assert (await world.call("DELETE", f"{members}/{ann.id}", **bob.headers)).status_code == 403
    denied = {"chat_id": public, "user_id": ann.id}
    await world.record(Event.MEMBER_REMOVED, result="denied", actor=f"user:{bob.id}", **denied)
    assert (await world.call("DELETE", f"{members}/{bob.id}", **ann.headers)).status_code == 204
    await world.record(Event.MEMBER_REMOVED, result="ok", actor=actor, **place)
    bars = f"/api/v1/chats/{public}/bars/{bob.id}"
    assert (await world.call("DELETE", bars, **ann.headers)).status_code == 204
    await world.record(Event.BAR_LIFTED, result="ok", actor=actor, **place)
    assert (await world.call("POST", members, {"login": bob.person.username}, **ann.headers)).status_code == 201
    owner = {"user_id": bob.id}
    assert (await world.call("PUT", f"/api/v1/chats/{public}/owner", owner, **ann.headers)).status_code == 204
    await world.record(Event.OWNER_CHANGED, result="ok", actor=actor, **place)
    assert len(await world.records(event="member_added")) == 2
    await moderate(world, public, ann)
    changes = {Event.MEMBER_CHANGED, Event.MEMBER_ADDED, Event.MEMBER_REMOVED, Event.BAR_LIFTED, Event.OWNER_CHANGED}
    return {Event.CHAT_CREATED, Event.CHAT_CHANGED, Event.CHAT_REMOVED, Event.MESSAGE_MODERATED} | changes


async def moderate(world: World, chat_id: int, author: User) -> None:
    """A service deletes the message of a user, and sends messages as the system."""
    messages = f"/api/v1/chats/{chat_id}/messages"
    sent = (await world.call("POST", messages, {"text": "rude"}, **author.headers)).json()["id"]
    assert (await world.call("PATCH", f"{messages}/{sent}", {"text": "less"}, **author.headers)).status_code == 200
    place = {"chat_id": chat_id, "user_id": author.id, "message_id": sent}
    for method, body in (("PATCH", {"text": "polite"}), ("DELETE", None)):
        assert (await world.call(method, f"{messages}/{sent}", body, **SHOP)).status_code == 200
        operation = f"{method} /api/v1/chats/{{chat_id}}/messages/{{message_id}}"
        await world.record(Event.MESSAGE_MODERATED, result="ok", actor="service:shop", operation=operation, **place)
    assert len(await world.records(event="message_moderated")) == 2  # an author's own edit is none
    assert (await world.call("POST", messages, {"text": "notice"}, **SHOP)).status_code == 201
    await world.record(Event.SERVICE_CALL, result="ok", actor="service:shop", chat_id=chat_id)
    batch = {"items": [{"chat_id": chat_id, "text": "x", "client_msg_id": f"{number}"} for number in range(3)]}
    assert (await world.call("POST", "/api/v1/messages", batch, **SHOP)).status_code == 200
    await world.record(Event.SERVICE_CALL, actor="service:shop", operation="POST /api/v1/messages", messages=3)


async def cause_webhook_events(world: World) -> set[Event]:
    """An operator drops what the outbox has of a webhook that was removed."""
    async with open_database(world.environ["DATABASE_URL"]) as database:
        for name in ("former", "older"):
            sql = "INSERT INTO outbox_positions (endpoint, after_id, gaps) VALUES ($1, 0, '') RETURNING endpoint"
            await database.write(sql, name)
    assert (await world.call("POST", "/api/v1/webhooks/drop", {"webhook": "former"}, **ADMIN)).status_code == 200
    await world.record(Event.WEBHOOK_DROPPED, result="ok", actor="service:admin", webhook="former")
    await asyncio.to_thread(world.command, "webhooks", "drop", "--webhook", "older")
    await world.record(Event.WEBHOOK_DROPPED, result="ok", actor="operator", webhook="older")
    assert (await world.call("POST", "/api/v1/webhooks/drop", {"webhook": "former"}, **SHOP)).status_code == 403
    await world.record(Event.WEBHOOK_DROPPED, result="denied", actor="service:shop", status=403)
    return {Event.WEBHOOK_DROPPED}


async def cause_other_events(world: World) -> set[Event]:
    """Reads, other calls of services, and refusals."""
    user, banned = await world.cluster.user(), await world.cluster.user()
    await world.record(Event.AUDIT_READ, result="ok", actor="service:admin")
    assert (await world.call("GET", "/api/v1/audit", **BANK)).status_code == 200
    assert (await world.call("GET", "/api/v1/audit", **SHOP)).status_code == 403
    await world.record(Event.AUDIT_READ, result="denied", actor="service:shop")
    assert (await world.call("GET", f"/api/v1/users/{user.id}/clients", **BANK)).status_code == 200
    operation = "GET /api/v1/users/{user_id}/clients"
    await world.record(Event.SERVICE_CALL, result="ok", actor="service:bank", user_id=user.id, operation=operation)
    assert (await world.call("GET", "/api/v1/chats")).status_code == 401
    await world.record(Event.REQUEST_REFUSED, result="denied", actor="anonymous", operation="GET /api/v1/chats")
    assert (await world.call("GET", "/api/v1/chats", Origin="https://evil.example")).status_code == 403
    await world.record(Event.REQUEST_REFUSED, result="denied", operation="GET", status=403)
    assert (await world.call("PUT", f"/api/v1/users/{banned.id}/ban", {}, **BANK)).status_code == 200
    async with asyncio.timeout(5):
        while (await world.call("GET", "/api/v1/chats", **banned.headers)).status_code != 403:
            pass
    await world.record(Event.REQUEST_REFUSED, actor="anonymous", user_id=banned.id, reason="banned")
    others = await world.cluster.chat(await world.cluster.user())
    assert await refused_handshake(world, f"/ws/chat/{others}/", user) == 403
    await world.record(
        Event.CONNECTION_REFUSED, result="denied", actor=f"user:{user.id}", chat_id=others, code="forbidden"
    )
    assert await refused_handshake(world, f"/ws/chat/{others}/", None) == 401
    await world.record(Event.CONNECTION_REFUSED, result="denied", actor="anonymous", code="unauthorized")
    return {Event.AUDIT_READ, Event.SERVICE_CALL, Event.REQUEST_REFUSED, Event.CONNECTION_REFUSED}


async def test_every_event_is_recorded(world: World) -> None:
    caused = await cause_auth_events(world)
    caused |= await cause_moderation_events(world)
    caused |= await cause_chat_events(world)
    caused |= await cause_webhook_events(world)
    caused |= await cause_other_events(world)
    assert set(Event) - caused == {Event.RECORDS_LOST}  # tests/httpapi/audit/test_recorder.py
    rows = {one["id"] for one in await world.records()}
    lines = {line["id"] for line in audit_lines(world.cluster.nodes[0].log + world.auth.log)}
    assert len(rows) > 50 and len(rows - lines) == 3  # the commands have a log of their own


def audit_lines(log: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in found if line["logger"] == "audit"]


def actions(world: World) -> set[str]:
    """The events in the log of the node."""
    return {line["action"] for line in audit_lines(world.cluster.nodes[0].log)}


async def test_records_hold_no_secret(world: World) -> None:
    user = await world.cluster.user()
    await world.ask_auth("/register", {"login": "owner", "password": PASSWORD})
    granted = (await world.ask_auth("/login", {"login": "owner", "password": PASSWORD, "refresh": "body"})).json()
    secrets = [PASSWORD, BANK_KEY, ADMIN_KEY, granted["refresh_token"], granted["access_token"], user.token]
    for secret in secrets:
        await world.ask_auth("/login", {"login": secret, "password": secret})
        await world.ask_auth("/register", {"login": secret, "password": secret, "first_name": secret})
        await world.ask_auth("/api/v1/login/refresh", {"refresh_token": secret[:128]})
        await world.ask_auth("/api/v1/logout", {"refresh_token": secret[:128]}, Authorization=f"Bearer {secret}")
        await world.call("GET", f"/api/v1/chats?token={secret}", **{"X-Service-Key": f"{secret}x"})
        await world.call(
            "GET", f"/nowhere/{secret}", Authorization=f"Bearer {secret}x", Cookie=f"access_token={secret}x"
        )
        await world.call("POST", f"/api/v1/clients/{secret}/send", {"data": secret}, **BANK)
        await world.call("POST", "/api/v1/chats", {"kind": "group", "title": secret}, **user.headers)
        with pytest.raises(InvalidStatus):
            url = world.cluster.nodes[0].ws_url(f"/ws/chat/{secret}/")
            async with connect(url, additional_headers={"Authorization": f"Bearer {secret}x"}, proxy=None):
                pass
    for token in secrets[3:]:  # into a field that is recorded
        await world.call("PUT", f"/api/v1/users/{user.id}/ban", {"reason": f"it was {token}"}, **BANK)
        await world.call("POST", f"/api/v1/users/{user.id}/disconnect", {"client_id": token[:255]}, **BANK)
        await world.call("POST", f"/api/v1/users/{user.id}/revoke", {"jti": token}, **BANK)
    await world.record(Event.TOKENS_REVOKED, result="ok", jti="[redacted]")
    everything = json.dumps(await world.records())
    everything += json.dumps(audit_lines(world.cluster.nodes[0].log + world.auth.log))
    assert everything.count("denied") > 50
    parts = [part for secret in secrets for part in secret.split(".") if len(part) > 20] + [PASSWORD]
    assert [part for part in parts if part in everything or (part[8:40] in everything and len(part) > 60)] == []


async def test_flood_leaves_few_records_and_all_are_counted(world: World) -> None:
    for _ in range(10):
        statuses = await asyncio.gather(*(world.call("GET", "/api/v1/chats") for _ in range(30)))
        assert {answer.status_code for answer in statuses} == {401}
    node = world.cluster.nodes[0]
    node.terminate()
    assert node.wait() == 0
    async with open_database(world.environ["DATABASE_URL"]) as database:
        rows = await database.fetch("SELECT * FROM audit_records WHERE event = 'request_refused' ORDER BY id")
    assert sum(row["count"] for row in rows) == 300
    assert len(rows) <= 2 * (REFUSALS_OF_ADDRESS + 1)  # the flood may fall into two windows
    assert rows[-1]["actor"] == "several"
    assert sum(line.get("count", 1) for line in audit_lines(node.log)) == 300


async def test_without_retention_there_are_only_lines(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    settings = {"SERVICE_KEYS": KEYS, "LOG_FORMAT": "json", "AUDIT_RETENTION_DAYS": 0}
    async with (
        run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **settings) as cluster,
        httpx.AsyncClient(base_url=cluster.nodes[0].url) as http,
    ):
        user = await cluster.user()
        assert (await http.put(f"/api/v1/users/{user.id}/ban", json={}, headers=BANK)).status_code == 200
        await asyncio.sleep(1)
        assert (await http.get("/api/v1/audit", headers=ADMIN)).json() == {"records": [], "next_cursor": None}
    lines = audit_lines(cluster.nodes[0].log)  # complete, as the node has ended
    assert [(line["action"], line["actor"]) for line in lines] == [
        ("user_banned", "service:bank"),
        ("audit_read", "service:admin"),
    ]


async def test_requests_and_lines_do_not_need_the_database(
    tmp_path: Path, redis_url: str, postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with run_world(tmp_path, redis_url, postgres_url) as world:
        user = await world.cluster.user()
        postgres_server.pause()
        try:
            answer = await asyncio.wait_for(world.call("GET", "/api/v1/chats"), 2)
            assert answer.status_code == 401
            await eventually(lambda: "request_refused" in actions(world), 2)
            await asyncio.sleep(8)  # beyond the bound of a statement: the write has failed once
        finally:
            postgres_server.resume()
        await world.record(Event.REQUEST_REFUSED, request_id=answer.headers["x-request-id"])
        database = postgres_url.rpartition("/")[2]
        postgres_server.query(database, "ALTER TABLE audit_records RENAME TO elsewhere")
        assert (await world.call("PUT", f"/api/v1/users/{user.id}/ban", {}, **BANK)).status_code == 200
        await eventually(lambda: "user_banned" in actions(world), 2)
        await asyncio.sleep(1)
        postgres_server.query(database, "ALTER TABLE elsewhere RENAME TO audit_records")
        assert (await world.call("DELETE", f"/api/v1/users/{user.id}/ban", **BANK)).status_code == 204
        await world.record(Event.USER_UNBANNED, result="ok", user_id=user.id)
