"""Settings from their texts: parsed, with the defaults that depend on each other, and safe for production."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from gateway.config.choices import LogFormat, StaffChats
from gateway.config.named_files import text_in
from gateway.config.production import (
    MIN_KEYS_SECRET_LENGTH,
    MIN_PASSWORD_LENGTH,
    MIN_SECRET_KEY_LENGTH,
    MIN_SERVICE_KEY_LENGTH,
    covers_internet,
    is_loopback,
    unsafe_redis,
    weakness,
)
from gateway.config.settings import Settings, known_settings
from gateway.errors import InvalidSetting, SettingsError
from httpapi.service_keys import parse_key
from storage.database import database_url


def parse(texts: Mapping[str, str]) -> Settings:
    """Parse and validate the texts that `sources.read` returns.

    Raises: SettingsError, with all problems.
    """
    parsed: dict[str, Any] = {}
    problems: list[str] = []
    for known in known_settings():
        name = known.name.upper()
        if (raw := texts.get(name)) is None:
            continue
        try:
            raw.encode()
        except UnicodeEncodeError:  # of bytes in the environment that were no text
            problems.append(f"{name} must be UTF-8.")
            continue
        try:
            parsed[known.name] = known.metadata["parse"](raw)
        except InvalidSetting as expected:
            is_public = not known.metadata["secret"] and not {"@", "/"} & set(raw)  # any setting may contain a URL
            problems.append(f"{name} must be {expected}" + (f", not {raw[:40]!r}." if is_public else "."))
    if problems:
        raise SettingsError(problems)
    if parsed.keys() >= {"postgres_password", "postgres_password_file"}:
        raise SettingsError(["POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE exclude each other."])
    settings = Settings(**{**_derived(Settings(**parsed)), **parsed})
    if settings.keys_secret and settings.keys_secret_file:
        raise SettingsError(["KEYS_SECRET and KEYS_SECRET_FILE exclude each other."])
    if settings.events_exchange and not settings.amqp_url:
        raise SettingsError(["EVENTS_EXCHANGE needs AMQP_URL."])
    if problems := _wrong_queue(settings) + _unsafe(settings):
        raise SettingsError(problems)
    return settings


def require_own_url(settings: Settings) -> None:
    """Require a configured URL in production, so that no link with a ticket leads to a host named by a request.

    Called by the commands that serve.
    Raises: SettingsError.
    """
    if settings.is_production and not (settings.public_url or settings.allowed_origins):
        raise SettingsError(
            [
                "PUBLIC_URL or ALLOWED_ORIGINS must be set in production: without them a link with a ticket would lead"
                " to whatever host a request names. (APP_ENV=development allows it.)"
            ]
        )


def require_keys_secret(settings: Settings) -> None:
    """Require a secret for the private keys in production. Called by the commands that sign tokens.

    Raises: SettingsError.
    """
    if settings.is_production and not (settings.keys_secret or settings.keys_secret_file):
        raise SettingsError(
            [
                "KEYS_SECRET or KEYS_SECRET_FILE must be set in production: it encrypts the keys that sign tokens;"
                " `openssl rand -hex 32` makes a good one. (APP_ENV=development allows it.)"
            ]
        )


_LIMITS_OF_PRODUCTION: Final = (
    "history_per_minute",
    "presence_per_minute",
    "subscriptions_per_minute",
    "edits_per_minute",
    "reactions_per_minute",
    "typing_per_minute",
    "reads_per_minute",
    "pings_per_minute",
    "max_connections_per_address",
    "max_connections_per_user",
    "handshakes_per_minute_per_address",
    "handshakes_per_minute_per_user",
    "strangers_per_minute",
    "http_requests_per_minute",
    "lists_per_minute",
    "chats_per_minute",
    "members_per_minute",
    "echo_transcript_kb",
    "echo_kb_per_hour",
    "echo_kb_per_hour_per_address",
)
"""Without a limit in development, where load tests run from one address."""


def _postgres_password(explicit: Settings) -> str:
    """Raises: SettingsError."""
    if explicit.postgres_password_file is None:
        return explicit.postgres_password
    password = text_in(explicit.postgres_password_file, "POSTGRES_PASSWORD_FILE")
    if not password:
        raise SettingsError(["The file of POSTGRES_PASSWORD_FILE must contain a password."])
    return password


def _derived(explicit: Settings) -> dict[str, Any]:
    """Defaults that depend on other settings.

    Raises: SettingsError.
    """
    if explicit.postgres_host and not explicit.database_url:
        user, password = quote(explicit.postgres_user, safe=""), quote(_postgres_password(explicit), safe="")
        database = quote(explicit.postgres_db, safe="")
        hosts = ",".join(f"{host}:{explicit.postgres_port}" for host in explicit.postgres_host.split(","))
        url = f"postgres://{user}:{password}@{hosts}/{database}"
    else:
        url = f"sqlite://{explicit.data_dir.absolute() / 'chat.db'}"
    limits = {} if explicit.is_production else dict.fromkeys(_LIMITS_OF_PRODUCTION, 0)
    return limits | {
        "database_url": url,
        "log_format": LogFormat.JSON if explicit.is_production else LogFormat.TEXT,
        "allow_guests": not explicit.is_production,
        "staff_chats": StaffChats.SERVICE if explicit.is_production else StaffChats.ANYONE,
        "registrations_per_minute": 20 if explicit.is_production else 10_000,
    }


def _wrong_queue(settings: Settings) -> list[str]:
    """The problems of the queue of messages for chats, which needs a broker and names of its own."""
    taken = {settings.amqp_queue, f"{settings.amqp_queue}.dead"}
    if not settings.amqp_chat_queue:
        return []
    if not settings.amqp_url:
        return ["AMQP_CHAT_QUEUE needs AMQP_URL."]
    if {settings.amqp_chat_queue, f"{settings.amqp_chat_queue}.dead"} & taken:
        return ["AMQP_CHAT_QUEUE must be another queue than AMQP_QUEUE and its dead letters."]
    return []


def _unsafe(settings: Settings) -> list[str]:
    """The problems of settings that are unsafe in production."""
    if not settings.is_production:
        return []
    problems: list[str] = []
    database = database_url.parse(settings.database_url)
    if isinstance(database, database_url.PostgresUrl) and database.password is not None:
        problems += _weak("The password of DATABASE_URL or POSTGRES_PASSWORD", database.password, MIN_PASSWORD_LENGTH)
    if settings.amqp_url:
        password = unquote(urlsplit(settings.amqp_url).password or "guest")
        problems += _weak("The password of AMQP_URL", password, MIN_PASSWORD_LENGTH)
    problems += unsafe_redis(settings.redis_url)
    for key in settings.service_keys:
        problems += _weak("A key of SERVICE_KEYS", parse_key(key).key, MIN_SERVICE_KEY_LENGTH)
    if settings.jwks_url.startswith("http:") and not is_loopback(urlsplit(settings.jwks_url).hostname or ""):
        problems.append("JWKS_URL must begin with https:// in production: over http the keys could be replaced")
    if settings.jwks_url or settings.secret_key:
        required = {"JWT_ISSUER": settings.jwt_issuer, "JWT_AUDIENCE": settings.jwt_audience}
        cause = "JWKS_URL" if settings.jwks_url else "SECRET_KEY"
        problems += [f"{name} must be set in production where {cause} is" for name in required if not required[name]]
    if settings.password_reset_hook:
        hook = urlsplit(settings.password_reset_hook)
        if hook.scheme == "http" and not is_loopback(hook.hostname or ""):
            problems.append("PASSWORD_RESET_HOOK must begin with https:// in production: its calls contain tokens")
        problems += _weak("PASSWORD_RESET_SECRET", settings.password_reset_secret, MIN_SECRET_KEY_LENGTH)
    if settings.secret_key:
        problems += _weak("SECRET_KEY", settings.secret_key, MIN_SECRET_KEY_LENGTH)
    for secret in settings.keys_secret:
        problems += _weak("KEYS_SECRET", secret, MIN_KEYS_SECRET_LENGTH)
    if "*" in settings.allowed_origins:
        problems.append("ALLOWED_ORIGINS must name each origin in production, not *")
    if covers_internet(settings.trusted_proxies):
        problems.append("TRUSTED_PROXIES must not cover the internet in production")
    if settings.debug:
        problems.append("DEBUG must be off in production")
    return [f"{problem}. (APP_ENV=development allows it.)" for problem in problems]


def _weak(what: str, secret: str, min_length: int) -> list[str]:
    problem = weakness(secret, min_length)
    return [f"{what} {problem}; `openssl rand -hex 32` makes a good one"] if problem else []
