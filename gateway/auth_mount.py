"""Opens the auth service with the gateway's storage, Redis and settings, for `gateway --with-auth` and for `auth`.

Only this module and `commands` import more of `auth` than `auth.tokens`.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_hex
from typing import Final

from auth.accounts.passwords import Passwords
from auth.accounts.redis_counters import TIMEOUT_S, RedisCounters
from auth.accounts.rules import broken_rules
from auth.app import AuthService
from auth.credentials.password_reset import WORKERS
from auth.credentials.reset_hook import open_reset_hook
from auth.encryption.data_key import open_data_key
from auth.encryption.login_sessions import EncryptedSessions
from auth.encryption.second_factors import EncryptedFactors
from auth.encryption.secret_box import SecretBox
from auth.encryption.signing_keys import EncryptedKeys, are_encrypted
from auth.errors import CannotDecrypt, WrongKeysSecret
from auth.events import AuthEvents
from auth.settings import AuthSettings
from auth.tokens.access_tokens import Issuer, PublicKeys, TokenNames
from auth.tokens.external_issuer import ExternalIssuerVerifier
from auth.tokens.key_ring import KeyRing
from auth.tokens.published_keys import PublishedKeys
from gateway.config.choices import RegistrationPolicy
from gateway.config.keys_secret import read_keys_secret
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.metrics.auth import AuthMetrics
from gateway.metrics.exposition import Registry
from gateway.redis.connection.redis_py import asking, open_vendor_clients
from gateway.redis.namespace import Namespace
from gateway.redis.peers import ASK_S, KEY, Peers, Standing
from gateway.server.health import AuthHealth
from gateway.tasks import Tasks
from httpapi.errors import BrokenRule
from httpapi.site import AllowedOrigins, Site
from storage.database.database import Database
from storage.database.store_identity import store_id
from storage.records import Person
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.data_keys import DataKeys
from storage.repositories.auth.keys import PublicSigningKeys, SigningKeys
from storage.repositories.revocations import Revocations

_WRONG_KEY: Final = (
    "KEYS_SECRET (or KEYS_SECRET_FILE, or keys.secret in DATA_DIR) is not the secret with which the private keys in"
    " this database are encrypted. To replace it, give both, the new one first: KEYS_SECRET=new,old."
)


@asynccontextmanager
async def open_auth(settings: Settings, database: Database, registry: Registry) -> AsyncIterator[AuthService]:
    """Open the auth service, with its metrics in `registry` and its own connections to Redis, which may be down.

    Secrets that an earlier version has stored are encrypted first.
    Raises: SettingsError if KEYS_SECRET is missing or wrong, StorageUnavailable.
    """
    box = await _open_box(settings, database)
    sessions = EncryptedSessions(database, box)
    await sessions.encrypt_plain()
    metrics = AuthMetrics(registry)
    events = AuthEvents(
        metrics.login,
        metrics.refreshed,
        metrics.registered,
        metrics.registration_limited,
        metrics.guest,
        metrics.hashed,
        metrics.password,
        metrics.code_limited,
        metrics.reset,
        metrics.call_limited,
    )
    tasks = Tasks()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(open_vendor_clients(settings.redis_url, TIMEOUT_S))
        hook = None
        if settings.password_reset_hook:
            opened = open_reset_hook(settings.password_reset_hook, settings.password_reset_secret)
            hook = await stack.enter_async_context(opened)
        stack.push_async_callback(tasks.close)
        names = Namespace(await store_id(database), settings.redis_prefix)
        counters = RedisCounters(*redis, prefix=names.prefix)
        service = AuthService(
            Accounts(database, factors=EncryptedFactors(database, box)),
            sessions,
            EncryptedKeys(SigningKeys(database), box),
            counters,
            _auth_settings(settings),
            events,
            send_reset=hook,
        )
        for _ in range(WORKERS if hook else 0):
            tasks.spawn(service.send_resets(), "password_resets")
        metrics.watch(lambda: service.hashing)
        try:
            await _check_keys(service.key_ring)
            yield service
        finally:
            service.close()


@asynccontextmanager
async def open_auth_health(settings: Settings, database: Database) -> AsyncIterator[AuthHealth]:
    """Open the readiness of a standalone auth process.

    It reports whether each Redis accepts its user, and whether other processes have the same list of Redis servers.
    """
    names = Namespace(await store_id(database), settings.redis_prefix)
    name = f"auth-{socket.gethostname()}-{token_hex(3)}"
    tasks = Tasks()
    async with open_vendor_clients(settings.redis_url, ASK_S) as clients:
        peers = [
            Peers(name, Standing(place, len(clients), names.store_id), asking(client, names.prefix + KEY))
            for place, client in enumerate(clients, start=1)
        ]
        for one in peers:
            tasks.spawn(one.keep(), "peers")
        try:
            yield AuthHealth(
                lambda: next((one.refusal for one in peers if one.refusal), ""),
                lambda: [text for one in peers for text in one.differences()],
            )
        finally:
            await tasks.close()


def public_keys(settings: Settings, database: Database) -> PublicKeys:
    """The keys that verify our tokens, read from the database, so that no auth process has to be running."""
    return PublishedKeys(PublicSigningKeys(database), _auth_settings(settings).longest_token_s).jwks


async def rotate_key(settings: Settings, database: Database) -> str:
    """Add a key that will sign our tokens; returns its kid. `auth.tokens.key_ring` defines when it starts to sign.

    Raises: SettingsError if KEYS_SECRET is missing or wrong, StorageUnavailable.
    """
    keys = EncryptedKeys(SigningKeys(database), await _open_box(settings, database))
    ring = KeyRing(keys, _auth_settings(settings).longest_token_s)
    await _check_keys(ring)
    return await ring.rotate()


async def create_account(
    database: Database, login: str, password: str, first_name: str, last_name: str
) -> Person | list[BrokenRule]:
    """Create an account whatever REGISTRATION is; returns the user, or every rule that was broken.

    Raises: LoginTaken, StorageUnavailable.
    """
    if broken := broken_rules(login, password, first_name, last_name):
        return broken
    passwords = Passwords(threads=1)
    try:
        return await Accounts(database).create(login, await passwords.hash(password), first_name, last_name)
    finally:
        passwords.close()


async def mint_token(settings: Settings, database: Database, person: Person, lifetime_s: int) -> str:
    """Sign an access token for this user, which no login renews.

    Raises: SettingsError if KEYS_SECRET is missing or wrong, StorageUnavailable.
    """
    keys = EncryptedKeys(SigningKeys(database), await _open_box(settings, database))
    ring = KeyRing(keys, _auth_settings(settings).longest_token_s)
    await _check_keys(ring)
    earliest = await Revocations(database).issued_before(person.id)
    issuer = Issuer(TokenNames(), lifetime_s)
    return issuer.issue(await ring.signing_key(), person.id, person.username, earliest_iat=earliest)


async def _open_box(settings: Settings, database: Database) -> SecretBox:
    """What encrypts secrets in this database.

    Raises: SettingsError, StorageUnavailable.
    """
    data_keys = DataKeys(database)
    await store_id(database)  # the error before the first migration
    is_new = not await data_keys.exists()
    secrets = read_keys_secret(settings, may_generate=is_new)
    is_lost = is_new and are_encrypted(await SigningKeys(database).all())
    try:
        return await open_data_key(data_keys, secrets, may_create=not is_lost)
    except WrongKeysSecret:
        raise SettingsError([_WRONG_KEY]) from None


async def _check_keys(ring: KeyRing) -> None:
    """Read the keys; encrypts those that are not, and creates the first.

    Raises: SettingsError, StorageUnavailable.
    """
    try:
        await ring.jwks()
    except CannotDecrypt:
        raise SettingsError([_WRONG_KEY]) from None


@asynccontextmanager
async def open_outside(settings: Settings) -> AsyncIterator[ExternalIssuerVerifier | None]:
    """Open the verifier of the external issuer, if one is configured; its keys are fetched when a token needs them."""
    async with AsyncExitStack() as stack:
        read_keys = None
        if settings.jwks_url:
            from auth.tokens.remote_jwks import open_jwks_url  # httpx takes 0.07 s, so only such nodes import it

            read_keys = await stack.enter_async_context(open_jwks_url(settings.jwks_url))
        if read_keys is None and not settings.secret_key:
            yield None
            return
        yield ExternalIssuerVerifier(
            secret=settings.secret_key,
            read_keys=read_keys,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
        )


def _auth_settings(settings: Settings) -> AuthSettings:
    return AuthSettings(
        token_lifetime_s=settings.access_token_expire_minutes * 60,
        refresh_lifetime_s=settings.refresh_token_expire_days * 24 * 3600,
        longest_session_s=settings.session_max_days * 24 * 3600,
        trusted_proxies=settings.trusted_proxies,
        allow_guests=settings.allow_guests,
        registration_is_open=settings.registration is not RegistrationPolicy.CLOSED,
        needs_invitation=settings.registration is RegistrationPolicy.INVITE,
        registrations_per_minute=settings.registrations_per_minute,
        service_keys=settings.service_keys,
        origins=AllowedOrigins(
            settings.allowed_origins, public_url=settings.public_url, is_development=not settings.is_production
        ),
        site=Site(settings.public_url, settings.allowed_origins, any_host=not settings.is_production),
    )
