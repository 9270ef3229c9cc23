"""What the database shows of signing keys and logins, and which KEYS_SECRET opens it; on both databases."""

import asyncio
import json
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from auth.encryption.data_key import open_data_key
from auth.encryption.login_sessions import EncryptedSessions
from auth.encryption.second_factors import EncryptedFactors
from auth.errors import CannotDecrypt, WrongKeysSecret
from auth.tokens.key_ring import KeyRing
from auth.tokens.published_keys import PublishedKeys
from storage.auth_records import SecondFactor, SigningKey
from storage.database.database import Database, open_database
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.data_keys import DataKeys
from storage.repositories.auth.keys import PublicSigningKeys, SigningKeys
from storage.repositories.auth.login_sessions import ENCRYPTED_AT_ONCE, LoginSessions
from tests.support.dumps import dump
from tests.support.keys import encrypted_keys
from tests.support.migrated import make_store

OLD, NEW, OTHER = "old secret " * 3, "new secret " * 3, "other one " * 4
LIFETIME_S = 1800
SESSION, SECRET = "5e" * 16, "0123456789abcdef" * 4


def ring(keys: object) -> KeyRing:
    return KeyRing(keys, LIFETIME_S)  # type: ignore[arg-type]


async def plain_key(database: Database) -> ECKey:
    """A key as the version without encryption stores it."""
    return await ring(SigningKeys(database)).signing_key()


async def add_session(sessions: LoginSessions, database: Database, session_id: str = SESSION) -> None:
    person = await Accounts(database).create(f"ann{session_id}", "no password")
    await sessions.add(person.id, session_id, SECRET, "d" * 64, 1, 2_000_000_000)


async def add_plain_sessions(database: Database, count: int) -> None:
    """Sessions as the version without encryption stores them; the id is the number."""
    person = await Accounts(database).create("bob", "no password")
    rows = ",".join(f"('{n:032x}', {person.id}, '{SECRET}', 'd', '', 1, 1, 2000000000)" for n in range(count))
    columns = "id, user_id, secret, digest, previous_digest, created_at, rotated_at, expires_at"
    await database.write(f"INSERT INTO login_sessions ({columns}) VALUES {rows} RETURNING id")


def forms(key: ECKey) -> Iterator[bytes]:
    """The private key, in the forms in which it could be stored."""
    private = str(key.as_dict(private=True)["d"])
    raw = urlsafe_b64decode(private + "=")
    yield from (private.encode(), raw, raw.hex().encode(), b64encode(raw).rstrip(b"="))
    yield b"".join(key.as_pem(private=True).splitlines()[1:3])
    yield from key.as_pem(private=True).splitlines()[1:2]


def assert_opens_nothing(stolen: bytes, *keys: ECKey) -> None:
    assert keys[0].kid is not None
    assert str(keys[0].kid).encode() in stolen, "the dump has the keys"
    assert [form for key in keys for form in forms(key) if form in stolen] == []
    assert SECRET.encode() not in stolen
    assert bytes.fromhex(SECRET) not in stolen


async def test_dump_holds_no_private_key(database: Database, database_url: str, tmp_path: Path) -> None:
    keys = ring(await encrypted_keys(database))
    first = await keys.signing_key()
    stolen = [dump(database_url, tmp_path)]
    second = await keys.rotate()
    stolen.append(dump(database_url, tmp_path))
    stored = await (await encrypted_keys(database)).all()
    both = [ECKey.import_key(json.loads(key.private_jwk)) for key in stored]
    assert {key.kid for key in both} == {first.kid, second}
    for each in stolen:
        assert_opens_nothing(each, *sorted(both, key=lambda key: key.kid != first.kid))


async def test_plain_secrets_are_overwritten(database: Database, database_url: str, tmp_path: Path) -> None:
    key = await plain_key(database)
    others = [ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True) for _ in range(60)]
    stored = ",".join(f"('{each.kid}', '{json.dumps(each.as_dict(private=True))}', '2099-01-01')" for each in others)
    await database.write(f"INSERT INTO signing_keys (kid, private_jwk, created_at) VALUES {stored} RETURNING kid")
    await add_plain_sessions(database, 60)  # many, so that replaced rows leave gaps in their pages
    stolen = dump(database_url, tmp_path)
    assert [next(forms(each)) in stolen for each in (key, *others)] == [True] * 61
    assert SECRET.encode() in stolen

    box = await open_data_key(DataKeys(database), [OLD], may_create=True)
    await EncryptedSessions(database, box).encrypt_plain()
    assert (await ring(await encrypted_keys(database, OLD)).signing_key()).as_dict(private=True) == key.as_dict(
        private=True
    )
    assert_opens_nothing(dump(database_url, tmp_path), key, *others)


async def test_many_plain_logins_are_encrypted_in_batches(database: Database) -> None:
    sessions, count = LoginSessions(database), ENCRYPTED_AT_ONCE + 1
    await add_plain_sessions(database, count)
    encrypted = EncryptedSessions(database, await open_data_key(DataKeys(database), [OLD], may_create=True))
    await asyncio.gather(encrypted.encrypt_plain(), encrypted.encrypt_plain())
    for number in (0, count - 1):
        stored, opened = await sessions.find(f"{number:032x}"), await encrypted.find(f"{number:032x}")
        assert stored is not None and opened is not None
        assert SECRET not in stored.secret
        assert opened.secret == SECRET


async def test_new_login_is_stored_encrypted(database: Database) -> None:
    box = await open_data_key(DataKeys(database), [OLD], may_create=True)
    await add_session(EncryptedSessions(database, box), database)
    (row,) = await database.fetch("SELECT secret FROM login_sessions")
    assert SECRET not in row["secret"]
    session = await EncryptedSessions(database, box).find(SESSION)
    assert session is not None
    assert session.secret == SECRET


async def test_secret_moved_to_another_login_does_not_open(database: Database) -> None:
    box = await open_data_key(DataKeys(database), [OLD], may_create=True)
    sessions, other = EncryptedSessions(database, box), "6f" * 16
    await add_session(sessions, database)
    await add_session(sessions, database, other)
    moved = "SELECT secret FROM login_sessions WHERE id = $1"
    await database.write(f"UPDATE login_sessions SET secret = ({moved}) WHERE id = $2 RETURNING id", SESSION, other)
    assert await sessions.find(other) is None
    assert await sessions.find(SESSION) is not None


async def test_wrong_secret_opens_nothing_and_changes_nothing(database: Database) -> None:
    kid = (await ring(await encrypted_keys(database, OLD)).signing_key()).kid
    before = await database.fetch("SELECT * FROM data_keys")
    for secrets in ([OTHER], [NEW, OTHER]):
        with pytest.raises(WrongKeysSecret):
            await open_data_key(DataKeys(database), secrets, may_create=True)
    assert await database.fetch("SELECT * FROM data_keys") == before
    assert (await ring(await encrypted_keys(database, OLD)).signing_key()).kid == kid


async def test_new_and_old_secret_together_replace_the_old(database: Database) -> None:
    keys = await encrypted_keys(database, OLD)
    key = (await ring(keys).signing_key()).as_dict(private=True)
    both = [await encrypted_keys(database, NEW, OLD) for _ in range(2)]
    alone = await encrypted_keys(database, NEW)
    assert [(await ring(one).signing_key()).as_dict(private=True) for one in (*both, alone, keys)] == [key] * 4
    with pytest.raises(WrongKeysSecret):
        await encrypted_keys(database, OLD)
    assert await encrypted_keys(database, OLD, NEW)  # back again


async def test_processes_that_start_together_agree(database_url: str) -> None:
    await make_store(database_url)
    async with open_database(database_url) as one, open_database(database_url) as two:
        key = await plain_key(one)
        stores = await asyncio.gather(*(encrypted_keys(each) for each in (one, two) for _ in range(3)))
        found = await asyncio.gather(*(ring(store).signing_key() for store in stores))
        assert [each.as_dict(private=True) for each in found] == [key.as_dict(private=True)] * 6
        assert len(await one.fetch("SELECT id FROM data_keys")) == 1


async def test_missing_data_key_is_not_replaced(database: Database) -> None:
    await ring(await encrypted_keys(database, OLD)).signing_key()
    await database.write("DELETE FROM data_keys RETURNING id")
    with pytest.raises(WrongKeysSecret):
        await open_data_key(DataKeys(database), [OLD], may_create=False)
    assert await database.fetch("SELECT id FROM data_keys") == []


async def test_reader_of_public_keys_sees_what_auth_publishes(database: Database) -> None:
    reader = PublishedKeys(PublicSigningKeys(database), LIFETIME_S)
    assert await reader.jwks() == {"keys": []}
    key = await plain_key(database)
    assert await reader.jwks() == {"keys": [key.as_dict(private=False)]}
    keys = ring(await encrypted_keys(database))
    await keys.signing_key()
    await keys.rotate()
    assert await reader.jwks() == await keys.jwks()
    assert len((await reader.jwks())["keys"]) == 2


async def test_key_of_previous_version_is_encrypted_when_read(database: Database) -> None:
    """As its `rotate-key` adds one while the versions are being replaced."""
    keys = await encrypted_keys(database)
    await ring(keys).signing_key()
    plain = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    text = json.dumps(plain.as_dict(private=True))
    await SigningKeys(database).add(SigningKey(plain.thumbprint(), text, datetime.now(UTC)))
    assert plain.thumbprint() in [key.kid for key in await keys.all()]
    (row,) = await database.fetch("SELECT private_jwk FROM signing_keys WHERE kid = $1", plain.thumbprint())
    assert next(forms(plain)).decode() not in row["private_jwk"]
    assert ECKey.import_key(json.loads(row["private_jwk"])).thumbprint() == plain.thumbprint(), "gateways may read it"


async def test_dump_shows_no_secret_of_one_time_codes(database: Database, database_url: str, tmp_path: Path) -> None:
    box = await open_data_key(DataKeys(database), [OLD], may_create=True)
    factors, accounts = EncryptedFactors(database, box), Accounts(database)
    ann, bob = [await accounts.create(login, "no password") for login in ("ann", "bob")]
    secret = "JBSWY3DPEHPK3PXP" * 2
    assert await factors.start(ann.id, secret)
    assert secret.encode() not in dump(database_url, tmp_path)
    assert not await factors.confirm(ann.id, "A" * 32, 1, [])
    assert await factors.confirm(ann.id, secret, 1, ["d" * 64])
    assert await factors.find(ann.id) == SecondFactor(secret, True)
    await database.write("UPDATE second_factors SET user_id = $1 WHERE user_id = $2", bob.id, ann.id)
    with pytest.raises(CannotDecrypt):
        await factors.find(bob.id)
