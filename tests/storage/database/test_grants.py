"""The rights of the roles `chat_gateway` and `chat_auth`, on a PostgreSQL where an operator has created them."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from gateway.cli import main
from gateway.node.upkeep.erasures import ErasureJob
from storage.database.database import open_database
from storage.database.migrate import migrate, schema_state
from storage.outbox.queue import Outbox
from storage.outbox_records import EventType, Wanted
from storage.profile_records import Messages
from storage.records import ChatKind, NewMember
from storage.repositories.auth.accounts import Accounts
from storage.repositories.chats import Chats
from storage.repositories.identities import Identities
from storage.repositories.staff import StaffRepository
from storage.repositories.upkeep.erasure_work import ErasureWork
from storage.repositories.users.erasures import Erasures
from storage.repositories.users.present_users import PresentUsers
from tests.support.auth_node import AuthNode
from tests.support.chat_client import ChatClient
from tests.support.cluster import GatewayNode
from tests.support.servers import PostgresServer, find_binary, temporary_folder

ROLES = Path(__file__).parents[3] / "deploy/postgres/roles.sql"
SECRET_TABLES = {
    "signing_keys",
    "data_keys",
    "login_sessions",
    "invitations",
    "password_resets",
    "second_factors",
    "recovery_codes",
}
"""That the gateway must not read."""
ANN = {"login": "ann", "password": "correct horse battery"}
BOB = {"login": "bob", "password": "staple correct horse"}
PASSWORDS = {"GATEWAY_DB_PASSWORD": 'it\'s "mine" $1 \\', "AUTH_DB_PASSWORD": "and mine"}


def create_roles(server: PostgresServer) -> None:
    """Run the script as the operator does."""
    psql = find_binary("psql", "/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin")
    url = f"postgres://postgres@127.0.0.1:{server.port}/postgres"
    command = [psql, url, "-Xq", "-v", "ON_ERROR_STOP=1", "-f", str(ROLES)]
    ended = subprocess.run(command, env=os.environ | PASSWORDS, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of its own: roles belong to all databases of a server."""
    folder = temporary_folder()
    try:
        with PostgresServer(folder, fsync="off") as server:
            server.query("postgres", "CREATE ROLE chat_owner LOGIN")
            create_roles(server)
            create_roles(server)  # again, for new passwords
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def migrated(server: PostgresServer) -> str:
    """The name of a database that its owner has migrated twice; the tests have copies of it."""
    url = server.create_database()
    name = urlsplit(url).path[1:]
    server.query("postgres", f"ALTER DATABASE {name} OWNER TO chat_owner")
    for _ in range(2):
        asyncio.run(migrate(url.replace("postgres@", "chat_owner@")))
    return name


@pytest.fixture
def url_of(server: PostgresServer, migrated: str) -> Iterator[Callable[[str], str]]:
    """The URL of a migrated database for a role."""
    server.query("postgres", f"CREATE DATABASE copy TEMPLATE {migrated} OWNER chat_owner")
    url = f"postgres://postgres@127.0.0.1:{server.port}/copy"
    yield lambda role: url.replace("postgres@", f"{role}@")
    server.drop_database(url)


async def refused(url: str, sql: str) -> bool:
    """Whether this role may not run the statement."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    except asyncpg.InsufficientPrivilegeError:
        return True
    finally:
        await connection.close()
    return False


async def granted(url: str, role: str, right: str) -> set[str]:
    """The tables and columns for which a role has a right: `table` or `table.column`."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            """SELECT c.relname, a.attname, has_table_privilege($1, c.oid, $2) AS is_whole,
                has_column_privilege($1, c.oid, a.attnum, $2) AS is_column
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v')""",
            role,
            right,
        )
    finally:
        await connection.close()
    return {f"{row['relname']}.{row['attname']}" for row in rows if row["is_whole"] or row["is_column"]}


async def test_gateway_reads_everything_but_secrets(url_of: Callable[[str], str]) -> None:
    """If this fails for a new table or column: add it to storage/database/grants.sql."""
    owner = url_of("chat_owner")
    every = await granted(owner, "chat_owner", "SELECT")
    readable = await granted(owner, "chat_gateway", "SELECT")
    hidden = {name for name in every if name.partition(".")[0] in SECRET_TABLES}
    assert every - readable == hidden | {"users.password_hash"}
    changeable = await granted(owner, "chat_gateway", "UPDATE")
    assert not {"users.password_hash", "tortoise_migrations.name"} & changeable
    assert {name for name in changeable if name.partition(".")[0] in SECRET_TABLES | {"public_signing_keys"}} == set()


async def test_auth_reads_accounts_and_keys_only(url_of: Callable[[str], str]) -> None:
    readable = {name.partition(".")[0] for name in await granted(url_of("chat_owner"), "chat_auth", "SELECT")}
    others = {"users", "revocations", "audit_records", "store_identity", "public_signing_keys", "tortoise_migrations"}
    assert readable == SECRET_TABLES | others


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM signing_keys",
        "SELECT private_jwk FROM signing_keys",
        "SELECT wrapped FROM data_keys",
        "SELECT secret FROM login_sessions",
        "SELECT password_hash FROM users",
        "UPDATE users SET password_hash = ''",
        "INSERT INTO signing_keys VALUES ('k', '{}', now())",
        "DELETE FROM signing_keys",
        "DROP TABLE chats",
        "CREATE OR REPLACE VIEW public_signing_keys AS SELECT 'k' AS kid, '{}' AS jwk, now() AS created_at",
    ],
)
async def test_gateway_role_is_refused(url_of: Callable[[str], str], sql: str) -> None:
    assert await refused(url_of("chat_gateway"), sql)
    assert not await refused(url_of("chat_gateway"), "SELECT jwk FROM public_signing_keys")


async def test_chat_works_with_separate_roles(tmp_path: Path, redis_url: str, url_of: Callable[[str], str]) -> None:
    gateway_settings = {"REDIS_URL": redis_url, "DATABASE_URL": url_of("chat_gateway")}
    auth_settings = {"REDIS_URL": redis_url, "DATABASE_URL": url_of("chat_auth")}
    with (
        AuthNode(tmp_path / "auth", **auth_settings) as auth,
        GatewayNode(tmp_path / "one", **gateway_settings) as one,
        GatewayNode(tmp_path / "two", **gateway_settings) as two,
    ):
        tokens = []
        for who in (ANN, BOB):
            httpx.post(f"{auth.url}/register", json=who).raise_for_status()
            answer = httpx.post(f"{auth.url}/login", json=who | {"refresh": "body"}).raise_for_status().json()
            body = {"refresh_token": answer["refresh_token"]}
            answer = httpx.post(f"{auth.url}/api/v1/login/refresh", json=body).raise_for_status().json()
            tokens.append(answer["access_token"])
        headers = {"Authorization": f"Bearer {tokens[0]}"}
        chat = {"kind": "group", "title": "x", "members": [{"login": "bob"}]}
        made = httpx.post(f"{one.url}/api/v1/chats", json=chat, headers=headers)
        assert made.status_code == 201, made.text
        chat_id = made.json()["id"]
        async with (
            await ChatClient.connect(one.chat_url(chat_id), tokens[0]) as ann,
            await ChatClient.connect(two.chat_url(chat_id), tokens[1]) as bob,
        ):
            for client in (ann, bob):
                await client.next("connection_established")
            await ann.say("hello")
            assert (await bob.next("message"))["data"]["text"] == "hello"
        logout = httpx.post(f"{auth.url}/api/v1/logout", json={"everywhere": True}, headers=headers)
        assert logout.status_code == 204
        assert "InsufficientPrivilege" not in auth.log + one.log + two.log
        assert "permission denied" not in auth.log + one.log + two.log


async def test_gateway_role_does_what_nodes_do(url_of: Callable[[str], str]) -> None:
    async with open_database(url_of("chat_auth")) as database:
        ann = await Accounts(database).create("ann", "hash")
    async with open_database(url_of("chat_gateway")) as database:
        outside = await Identities(database).person("https://id.example", "1", "Bob")
        chats = Chats(database)
        chat, _ = await chats.create_chat(ann.id, ChatKind.GROUP, "x", [NewMember(user_id=outside.id)])
        await chats.remove_member(chat.id, outside.id, outside.id)
        await StaffRepository(database).set_staff(ann.id, True)
        assert await Erasures(database).request(ann.id, Messages.ERASE)
        await database.write("UPDATE user_erasures SET requested_at = requested_at - 60")
        await ErasureJob(ErasureWork(database, "node"), lambda *_: None, pause_s=0).work()
        erasure = await Erasures(database).of(ann.id)
        assert erasure is not None
        assert erasure.finished_at is not None
    async with open_database(url_of("chat_auth")) as database:
        account = await Accounts(database).by_user_id(ann.id)
        assert account is not None
        assert (account.person.username, account.password_hash) == (f"deleted:{ann.id}", "")


async def test_both_roles_see_whether_migrations_are_missing(url_of: Callable[[str], str]) -> None:
    for role in ("chat_gateway", "chat_auth"):
        async with open_database(url_of(role)) as database:
            state = await schema_state(database)
        assert state is not None and not state.missing


def test_command_without_the_rights_says_so(
    url_of: Callable[[str], str],
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APP_ENV", "development")
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("DATABASE_URL", url_of("chat_auth"))
    for words, denied in (["chats", "show", "1"], "table chats"), (["migrate"], "schema public"):
        assert main(words) == 1
        expected = f"The user of DATABASE_URL has too few rights for this: permission denied for {denied}. Run it as"
        assert expected in capsys.readouterr().err


async def test_gateway_role_stores_who_is_present(url_of: Callable[[str], str]) -> None:
    async with open_database(url_of("chat_auth")) as database:
        ann = (await Accounts(database).create("ann-present", "hash")).id
    async with open_database(url_of("chat_gateway")) as database:
        present = PresentUsers(database, Wanted({"app": frozenset(EventType)}))
        lease = await present.take_lease()
        assert await present.enter(lease, [ann])
        await present.leave(lease, {ann: 1_000})
        assert not await present.reap()
        rows = await database.fetch("SELECT type FROM outbox_events WHERE stream = $1 ORDER BY id", -ann)
        assert [row["type"] for row in rows] == ["user.online", "user.offline"]


async def test_gateway_role_reads_the_log_for_webhooks(url_of: Callable[[str], str]) -> None:
    async with open_database(url_of("chat_gateway")) as database:
        outbox = Outbox(database, Wanted({"app": frozenset(EventType)}))
        await outbox.begin()
        await database.write("UPDATE outbox_positions SET after_id = -1, gaps = '7-8-1'")
        assert await outbox.claim("app", 10, late=False) == []
        assert not await outbox.is_due("app", late=False)


async def test_gateway_role_clears_credentials_of_erased_users_only(url_of: Callable[[str], str]) -> None:
    async with open_database(url_of("chat_auth")) as database:
        eve = await Accounts(database).create("eve", "hash")
    async with open_database(url_of("chat_gateway")) as database:
        await database.write("SELECT clear_credentials($1)", eve.id)
    async with open_database(url_of("chat_auth")) as database:
        account = await Accounts(database).by_login("eve")
        assert account is not None
        assert account.password_hash == "hash"


async def test_restored_backup_keeps_the_rights(
    server: PostgresServer, url_of: Callable[[str], str], tmp_path: Path
) -> None:
    """By the commands of docs/operations.md, as the owner."""
    programs = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin")
    backup = [find_binary("pg_dump", *programs), "--format=custom", "--no-owner", f"--file={tmp_path}/chat.dump"]
    subprocess.run([*backup, url_of("chat_owner")], check=True)
    restored = server.create_database()
    try:
        server.query("postgres", f"ALTER DATABASE {urlsplit(restored).path[1:]} OWNER TO chat_owner")
        owner, gateway = (restored.replace("postgres@", f"{role}@") for role in ("chat_owner", "chat_gateway"))
        restore = [find_binary("pg_restore", *programs), "--exit-on-error", "--no-owner", f"--dbname={owner}"]
        subprocess.run([*restore, f"{tmp_path}/chat.dump"], check=True)
        await migrate(owner)
        assert await refused(gateway, "SELECT * FROM signing_keys")
        assert not await refused(gateway, "SELECT jwk FROM public_signing_keys")
    finally:
        server.drop_database(restored)


def test_script_gives_both_roles_a_password(server: PostgresServer) -> None:
    count = "SELECT count(*) FROM pg_authid WHERE rolname ~ '^chat_(gateway|auth)$' AND rolpassword ^@ 'SCRAM-SHA-256$'"
    assert server.query("postgres", count) == "2"
