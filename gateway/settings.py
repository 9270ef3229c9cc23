"""Every setting, where it may come from, and what it means; the README's table is made from this file.

Flag > environment > `.env` > `src/.env` > the command's own defaults. An empty value is an unset one. No error here
repeats a value that may hold a password.
"""

# ruff: noqa: RUF009  (`_setting` makes a dataclass field)

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote, urlsplit

from gateway import setting_values as values
from gateway.dotenv import read_dotenv

_T = TypeVar("_T")

PAGE_FOLDER: Final = Path(__file__).parents[1] / "web"
ENV_FILES: Final = (".env", "src/.env")
MIN_SERVICE_KEY_LENGTH: Final = 20
MIN_SECRET_KEY_LENGTH: Final = 32  # RFC 7518 §3.2: as many bytes as HS256's hash
WELL_KNOWN_SECRETS: Final = frozenset(
    {"", "admin", "app", "changeme", "guest", "password", "postgres", "redis", "secret"}
    | {"chat", "only-for-development"}  # deploy/compose.env's, and that of k8s/overlays/development
)


class Environment(StrEnum):
    """How careful to be: in production, unsafe settings are refused."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class SecondConnection(StrEnum):
    """What a user's second connection to a chat does."""

    REPLACE = "replace"
    REJECT = "reject"
    ALLOW = "allow"


class LogFormat(StrEnum):
    """One JSON object a line, or lines for a terminal."""

    JSON = "json"
    TEXT = "text"


class SettingsError(Exception):
    """The settings cannot be used; `problems` are sentences, each of which names its setting."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def _setting(parse: Callable[[str], _T], default: _T, meaning: str, *, shown: str = "", secret: bool = False) -> _T:
    """A field with its parser; `shown` is the default for the README where the value itself would not say it."""
    made: _T = field(
        default=default,
        repr=not secret,
        metadata={"parse": parse, "meaning": meaning, "shown": shown, "secret": secret},
    )
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Plain values, checked. Names are those of the environment in lower case; `load` makes one."""

    app_env: Environment = _setting(
        values.choice(Environment),
        Environment.PRODUCTION,
        "`production` refuses unsafe settings; `up` sets `development`",
    )
    app_host: str = _setting(values.text, "0.0.0.0", "the address to listen on; `up` sets `127.0.0.1`")  # noqa: S104  a container's only sensible default
    app_port: int = _setting(values.port, 8000, "the public port")
    public_url: str = _setting(
        values.site,
        "",
        "the URL that clients use, where it is not the one they sent",
        shown="the request's own",
    )
    redis_url: str = _setting(
        values.redis,
        "",
        "Redis, for fan-out, presence and limits, or its Sentinels (`redis+sentinel://host,host,host/service`);"
        " several, by comma, to share the chats; or a cluster (`redis+cluster://host:port,host:port`);"
        " `up` starts its own if none is given",
        shown="none",
        secret=True,
    )
    database_url: str = _setting(
        values.url("postgres", "postgresql", "sqlite", needs_host=False),
        "",
        "the database, `postgres://…` or `sqlite:///…`",
        shown="`POSTGRES_*` if `POSTGRES_HOST` is set, else SQLite in `DATA_DIR`",
        secret=True,
    )
    amqp_url: str = _setting(
        values.url("amqp", "amqps"),
        "",
        "RabbitMQ, the durable queue of messages to rooms; without it they go to the database directly",
        shown="none",
        secret=True,
    )
    postgres_host: str = _setting(values.text, "", "PostgreSQL, part by part: the host", shown="none")
    postgres_port: int = _setting(values.port, 5432, "its port")
    postgres_db: str = _setting(values.text, "app", "the database's name")
    postgres_user: str = _setting(values.text, "postgres", "who connects")
    postgres_password: str = _setting(
        values.text, "postgres", "their password; the default is for development only", secret=True
    )
    data_dir: Path = _setting(values.folder, Path(".data"), "the folder of the SQLite file", shown="`.data`")
    access_token_expire_minutes: int = _setting(
        values.whole(1, 60 * 24 * 30), 30, "how long an access token is good for"
    )
    jwks_url: str = _setting(
        values.url("http", "https"),
        "",
        "where an outside issuer of tokens publishes its keys (RS256, ES256, EdDSA); a redirect is not followed",
        shown="none",
        secret=True,
    )
    secret_key: str = _setting(
        values.shared_secret,
        "",
        "a secret shared with an outside issuer (HS256), as of `openssl rand -hex 32`; it signs nothing of ours",
        shown="none",
        secret=True,
    )
    jwt_issuer: str = _setting(
        values.text, "", "the outside issuer's name (`iss`); needed in production beside either", shown="not checked"
    )
    jwt_audience: str = _setting(
        values.text, "", "our name in its tokens (`aud`); needed in production beside either", shown="not checked"
    )
    allowed_origins: tuple[str, ...] = _setting(
        values.origins,
        (),
        "comma list of the origins whose pages may call; in development also any port of localhost",
        shown="the request's own host",
    )
    service_keys: tuple[str, ...] = _setting(
        values.comma_list, (), "comma list of keys for `X-Service-Key`", shown="none", secret=True
    )
    allow_guests: bool = _setting(
        values.flag,
        False,
        "guest tokens and messages to rooms for whoever asks; else they need a service key",
        shown="`true` in development",
    )
    trusted_proxies: tuple[values.Network, ...] = _setting(
        values.networks, (), "comma list of the networks whose `X-Forwarded-*` headers are believed", shown="none"
    )
    max_text_length: int = _setting(values.whole(1, 10_000), 1000, "the longest message, in code points")
    messages_per_minute: int = _setting(
        values.whole(0, 100_000), 10, "stored messages per user in any 60 s, over all replicas; 0 = no limit"
    )
    second_connection: SecondConnection = _setting(
        values.choice(SecondConnection),
        SecondConnection.REPLACE,
        "a user's second connection to a chat: `replace` the first, `reject` it, or `allow` both",
    )
    ping_interval_s: float = _setting(
        values.seconds(1, 3600), 25.0, "seconds between pings; a peer that does not answer is cut"
    )
    drain_delay_s: float = _setting(
        values.seconds(0, 600), 10.0, "on SIGTERM: seconds of being unready while still accepting; `up` sets 0"
    )
    drain_s: float = _setting(
        values.seconds(0, 3600), 30.0, "then: seconds over which the connections are closed; `up` sets 2"
    )
    auth_port: int = _setting(values.port, 8001, "the port of `chat-gateway auth`")
    metrics_port: int | None = _setting(
        values.port, None, "a port of its own for `/metrics`, which then is nowhere else", shown="the public one"
    )
    log_format: LogFormat = _setting(
        values.choice(LogFormat), LogFormat.JSON, "`json` or `text`", shown="`json`; `text` in development"
    )
    is_proxy: bool = _setting(
        values.flag, False, "send what comes into the echo channel to `ECHO_PROXY_URL`, and its answers back"
    )
    echo_proxy_url: str = _setting(
        values.url("ws", "wss"),
        "wss://echo.websocket.org",
        "the WebSocket server that the echo channel is proxied to",
        secret=True,
    )
    static_path: Path = _setting(
        values.page_folder, PAGE_FOLDER, "the folder of the page's files, with an `index.html`", shown="`web`"
    )
    debug: bool = _setting(values.flag, False, "log more; refused in production")

    @property
    def is_production(self) -> bool:
        """Whether to be careful."""
        return self.app_env is Environment.PRODUCTION


def known_settings() -> tuple[Field[Any], ...]:
    """The fields of Settings in the order of the table; `metadata` has `meaning` and `shown`."""
    return fields(Settings)


def read(
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    defaults: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What is said about our settings, by their names in upper case, unparsed: each from where it comes first.

    `environ` is the process's environment by default, `folder` (of the `.env` files) the working directory.

    Raises: SettingsError for a `.env` file that cannot be read.
    """
    folder = folder or Path.cwd()
    try:
        files = [read_dotenv(folder / name) for name in ENV_FILES]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"an .env file cannot be read: {type(error).__name__}"]) from None
    sources = [flags or {}, os.environ if environ is None else environ, *files, defaults or {}]
    said: dict[str, str] = {}
    for name in (known.name.upper() for known in known_settings()):
        for source in sources:
            if value := source.get(name, "").strip():
                said[name] = value
                break
    return said


def parse(said: Mapping[str, str]) -> Settings:
    """What `read` returned as values.

    Raises: SettingsError, with every problem there is.
    """
    given: dict[str, Any] = {}
    problems: list[str] = []
    for known in known_settings():
        name = known.name.upper()
        if (raw := said.get(name)) is None:
            continue
        try:
            given[known.name] = known.metadata["parse"](raw)
        except values.Invalid as expected:
            may_tell = not known.metadata["secret"] and not {"@", "/"} & set(raw)  # a URL may have strayed to any place
            problems.append(f"{name} must be {expected}" + (f", not {raw[:40]!r}." if may_tell else "."))
    if problems:
        raise SettingsError(problems)
    settings = Settings(**{**_derived(Settings(**given)), **given})
    if problems := _unsafe(settings):
        raise SettingsError(problems)
    return settings


def load(
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    defaults: Mapping[str, str] | None = None,
) -> Settings:
    """`read`, then `parse`."""
    return parse(read(flags, environ, folder, defaults))


def _derived(given: Settings) -> dict[str, Any]:
    """Defaults that hang on other settings."""
    if given.postgres_host:
        user, password = quote(given.postgres_user, safe=""), quote(given.postgres_password, safe="")
        database = quote(given.postgres_db, safe="")
        url = f"postgres://{user}:{password}@{given.postgres_host}:{given.postgres_port}/{database}"
    else:
        url = f"sqlite://{given.data_dir.absolute() / 'chat.db'}"
    return {
        "database_url": url,
        "log_format": LogFormat.JSON if given.is_production else LogFormat.TEXT,
        "allow_guests": not given.is_production,
    }


def _unsafe(settings: Settings) -> list[str]:
    """What must not be so in production."""
    if not settings.is_production:
        return []
    problems: list[str] = []
    database = urlsplit(settings.database_url)
    if database.password is not None and unquote(database.password) in WELL_KNOWN_SECRETS:
        problems.append("DATABASE_URL or POSTGRES_PASSWORD has a password that everybody knows.")
    if settings.amqp_url and unquote(urlsplit(settings.amqp_url).password or "guest") in WELL_KNOWN_SECRETS:
        problems.append("AMQP_URL has no password, or one that everybody knows.")
    if any(len(key) < MIN_SERVICE_KEY_LENGTH for key in settings.service_keys):
        problems.append(f"SERVICE_KEYS has a key of fewer than {MIN_SERVICE_KEY_LENGTH} characters.")
    if settings.jwks_url or settings.secret_key:
        said = {"JWT_ISSUER": settings.jwt_issuer, "JWT_AUDIENCE": settings.jwt_audience}
        why = "JWKS_URL" if settings.jwks_url else "SECRET_KEY"
        problems += [f"{name} must be set in production where {why} is." for name, value in said.items() if not value]
    if settings.secret_key and len(settings.secret_key) < MIN_SECRET_KEY_LENGTH:
        problems.append(f"SECRET_KEY has fewer than {MIN_SECRET_KEY_LENGTH} characters; `openssl rand -hex 32`.")
    if "*" in settings.allowed_origins:
        problems.append("ALLOWED_ORIGINS must name each origin in production, not *.")
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        problems.append("TRUSTED_PROXIES must not be everybody in production.")
    if settings.debug:
        problems.append("DEBUG must be off in production.")
    return [f"{problem} (APP_ENV=development allows it.)" for problem in problems]
