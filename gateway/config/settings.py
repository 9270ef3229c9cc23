"""Every setting with its default and its meaning; the README's table is generated from this file.

Precedence: flag > environment > `.env` > `src/.env` > the command's own defaults. An empty value counts as unset. No
error here repeats a value that may contain a password.
"""

# ruff: noqa: RUF009  (`setting` returns a dataclass field)

import sys
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, Final

from gateway.config import parsers as values
from gateway.config.choices import Adding, Environment, LogFormat, RegistrationPolicy, SecondConnection, StaffChats
from gateway.config.setting import http_per_minute, per_minute, setting

_CHECKOUT: Final = Path(__file__).parents[2]
_INSTALLED: Final = Path(sys.prefix) / "share/chat-gateway"
_IS_CHECKOUT: Final = (_CHECKOUT / "web").is_dir()
PAGE_FOLDER: Final = (_CHECKOUT if _IS_CHECKOUT else _INSTALLED) / "web"
"""Beside the packages in a checkout or the image; in a wheel's installation, where `pyproject.toml` puts it."""
CLIENT_FOLDER: Final = _CHECKOUT / "clients/js" if _IS_CHECKOUT else _INSTALLED / "client"
"""The JavaScript client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The validated values, named as in the environment, in lower case. Created by `validation.parse`."""

    app_env: Environment = setting(
        values.choice(Environment),
        Environment.PRODUCTION,
        "`production` rejects unsafe settings; `up` sets `development`",
    )
    app_host: str = setting(values.text, "0.0.0.0", "the address to listen on; `up` sets `127.0.0.1`")  # noqa: S104  a container's only sensible default
    app_port: int = setting(values.port, 8000, "the public port")
    public_url: str = setting(
        values.site,
        "",
        "the URL that clients use, with its path if a proxy removes one; production needs this or `ALLOWED_ORIGINS`",
        shown="the request's own",
    )
    redis_url: str = setting(
        values.redis,
        "",
        "Redis, for fan-out, presence and limits, or its Sentinels (`redis+sentinel://host,host,host/service`);"
        " several, by comma, to share the chats; or a cluster (`redis+cluster://host:port,host:port`);"
        " `up` starts its own if none is given",
        shown="none",
        secret=True,
    )
    redis_prefix: str = setting(
        values.redis_prefix,
        "",
        "the prefix of every key and channel in Redis; set it for a copy of the database beside its original",
        shown="the database's own id",
    )
    database_url: str = setting(
        values.database,
        "",
        "the database, `postgres://…` or `sqlite:///…`",
        shown="`POSTGRES_*` if `POSTGRES_HOST` is set, else SQLite in `DATA_DIR`",
        secret=True,
    )
    amqp_url: str = setting(
        values.url("amqp", "amqps"),
        "",
        "RabbitMQ, the durable queue of messages to rooms; without it they are stored in the database directly",
        shown="none",
        secret=True,
    )
    amqp_queue: str = setting(
        values.queue_name,
        "messages",
        "the queue in RabbitMQ; only one database may use it in its virtual host; dead letters go to `….dead`",
    )
    amqp_chat_queue: str = setting(
        values.queue_name,
        "",
        "a second queue in RabbitMQ, of messages for chats; who may publish there writes as the system or as any user",
        shown="none",
    )
    events_exchange: str = setting(
        values.queue_name,
        "",
        "a topic exchange in RabbitMQ that gets events (docs/webhooks.md); needs `AMQP_URL`",
        shown="none",
    )
    postgres_host: str = setting(values.database_host, "", "PostgreSQL in separate settings: the host", shown="none")
    postgres_port: int = setting(values.port, 5432, "the port of PostgreSQL")
    postgres_db: str = setting(values.text, "app", "the name of the database")
    postgres_user: str = setting(values.text, "postgres", "the user of the database")
    postgres_password: str = setting(
        values.text, "postgres", "the user's password; the default is for development only", secret=True
    )
    postgres_password_file: Path | None = setting(
        values.path, None, "a file with that password, in place of `POSTGRES_PASSWORD`", shown="none"
    )
    commit_hold_ms: int = setting(
        values.whole(0, 10), 0, "the ms that an idle log holds a message for others (docs/benchmarks/profiles.md)"
    )
    data_dir: Path = setting(
        values.path, Path(".data"), "the folder of the SQLite file and of `keys.secret`", shown="`.data`"
    )
    keys_secret: tuple[str, ...] = setting(
        values.keys_secrets,
        (),
        "the secret that encrypts private keys in the database, at least 32 characters, such as from `openssl rand -hex"
        " 32`; two by comma, `new,old`, to replace it; production needs it where tokens are signed",
        shown="in development `keys.secret` in `DATA_DIR`, generated",
        secret=True,
    )
    keys_secret_file: Path | None = setting(
        values.path, None, "a file with that secret, in place of `KEYS_SECRET`", shown="none"
    )
    access_token_expire_minutes: int = setting(
        values.whole(1, 60 * 24 * 30), 30, "the lifetime of an access token, in minutes"
    )
    refresh_token_expire_days: int = setting(values.whole(1, 365), 30, "the days until a login must be renewed")
    session_max_days: int = setting(
        values.whole(1, 3650), 180, "the days after which a login ends, however often it is renewed"
    )
    jwks_url: str = setting(
        values.url("http", "https"),
        "",
        "the URL of an external issuer's keys (RS256, ES256, EdDSA); redirects are not followed",
        shown="none",
        secret=True,
    )
    secret_key: str = setting(
        values.shared_secret,
        "",
        "a secret shared with an external issuer (HS256), such as from `openssl rand -hex 32`; our own tokens do not"
        " use it",
        shown="none",
        secret=True,
    )
    jwt_issuer: str = setting(
        values.text,
        "",
        "the external issuer's name (`iss`); required in production with `JWKS_URL` or `SECRET_KEY`",
        shown="not checked",
    )
    jwt_audience: str = setting(
        values.text,
        "",
        "our name in the external issuer's tokens (`aud`); required in production with `JWKS_URL` or `SECRET_KEY`",
        shown="not checked",
    )
    allowed_origins: tuple[str, ...] = setting(
        values.origins,
        (),
        "comma list of the origins whose pages may send requests; in development also any port of localhost",
        shown="the request's own host",
    )
    service_keys: tuple[str, ...] = setting(
        values.service_keys, (), "comma list of `name:key:scope+scope` for `X-Service-Key`", shown="none", secret=True
    )
    allow_guests: bool = setting(
        values.flag,
        False,
        "allow guest tokens and messages to rooms without a service key",
        shown="`true` in development",
    )
    staff_chats: StaffChats = setting(
        values.choice(StaffChats),
        StaffChats.SERVICE,
        "who creates service and support chats and their staff: `anyone`, or `service` keys and users they made staff",
        shown="`service`; `anyone` in development",
    )
    allow_adding: Adding = setting(
        values.choice(Adding), Adding.ANYONE, "whom a user may add to chats: `anyone`, `contacts` or no one (`service`)"
    )
    strangers_per_minute: int = setting(
        values.whole(0, 100_000),
        100,
        "users other than contacts whom a user may name as members in any 60 s, over all replicas; 0 = no limit",
        shown="100; no limit in development",
    )
    registration: RegistrationPolicy = setting(
        values.choice(RegistrationPolicy),
        RegistrationPolicy.OPEN,
        "`open` lets every caller create an account, `invite` those with an invitation (`POST /api/v1/invitations`);"
        " `closed` leaves that to the operator",
    )
    registrations_per_minute: int = setting(
        values.whole(1, 100_000),
        20,
        "accounts that one address or IPv6 /64 may create in any 60 s; five times as many in an hour, twice as many in"
        " a /56, four times in a /48",
        shown="20; 10,000 in development",
    )
    password_reset_hook: str = setting(
        values.url("http", "https"),
        "",
        "the URL of the operator's hook that sends the token to reset a password; redirects are not followed",
        shown="none: passwords cannot be reset",
        secret=True,
    )
    password_reset_secret: str = setting(
        values.shared_secret,
        "",
        "the secret that signs calls of `PASSWORD_RESET_HOOK`, such as from `openssl rand -hex 32`",
        shown="none",
        secret=True,
    )
    webhooks: str = setting(
        values.text,
        "",
        "a JSON list of endpoints that get events, `{url,secret,events,name,give_up_h}` (docs/webhooks.md)",
        shown="none",
        secret=True,
    )
    webhooks_file: Path | None = setting(
        values.path, None, "a file with that list, in place of `WEBHOOKS`", shown="none"
    )
    webhook_allow_private: bool = setting(
        values.flag, False, "allow webhooks at private, loopback and link-local addresses"
    )
    trusted_proxies: tuple[values.IPNetwork, ...] = setting(
        values.networks, (), "comma list of the networks whose `X-Forwarded-*` headers are trusted", shown="none"
    )
    max_text_length: int = setting(values.whole(1, 10_000), 1000, "the longest message, in code points")
    max_connections: int = setting(
        values.whole(0, 10_000_000),
        0,
        "WebSockets open on a node, further ones get 503; 0 = as many as its file descriptors allow",
    )
    max_connections_per_address: int = setting(
        values.whole(0, 10_000_000),
        1000,
        "WebSockets open on a node from one address or IPv6 /64, further ones get 429; 0 = no limit",
        shown="1,000; no limit in development",
    )
    max_connections_per_user: int = setting(
        values.whole(0, 10_000_000),
        100,
        "WebSockets open on a node of one user, further ones get 429; 0 = no limit",
        shown="100; no limit in development",
    )
    handshakes_per_minute_per_address: int = setting(
        values.whole(0, 10_000_000),
        2000,
        "WebSocket handshakes from one address or IPv6 /64 in a minute, over all replicas; further ones get 503; 0 = no"
        " limit",
        shown="2,000; no limit in development",
    )
    handshakes_per_minute_per_user: int = setting(
        values.whole(0, 10_000_000),
        120,
        "WebSocket handshakes of one user in a minute, over all replicas; further ones get 503; 0 = no limit",
        shown="120; no limit in development",
    )
    messages_per_minute: int = setting(
        values.whole(0, 100_000), 10, "stored messages per user in any 60 s, over all replicas; 0 = no limit"
    )
    history_per_minute: int = per_minute(600, "pages of history")
    presence_per_minute: int = per_minute(300, "questions who is present")
    subscriptions_per_minute: int = per_minute(3_000, "subscribes and unsubscribes")
    edits_per_minute: int = per_minute(60, "edits and deletions", "user, over all replicas")
    reactions_per_minute: int = per_minute(60, "reactions", "user, over all replicas")
    typing_per_minute: int = per_minute(600, "typing notifications")
    reads_per_minute: int = per_minute(600, "read receipts")
    pings_per_minute: int = per_minute(18_000, "`ping` and `hello`")
    http_requests_per_minute: int = http_per_minute(1_200, "HTTP requests, also per address without a user,")
    lists_per_minute: int = http_per_minute(120, "lists of chats, members and the like")
    chats_per_minute: int = http_per_minute(10, "chats created")
    members_per_minute: int = http_per_minute(1_000, "members named in calls that add them")
    max_chats_per_user: int = setting(
        values.whole(0, 10_000_000), 1_000, "chats that a user may create; 0 = no limit", shown="1,000"
    )
    max_members_per_chat: int = setting(
        values.whole(0, 10_000_000),
        10_000,
        "members of a chat, except the public channel; 0 = no limit",
        shown="10,000",
    )
    second_connection: SecondConnection = setting(
        values.choice(SecondConnection),
        SecondConnection.REPLACE,
        "a user's second connection to a chat: `replace` the first, `reject` it, or `allow` both",
    )
    ping_interval_s: float = setting(
        values.seconds(1, 3600), 25.0, "seconds between pings; a client that does not respond is disconnected"
    )
    drain_delay_s: float = setting(
        values.seconds(0, 600), 10.0, "on SIGTERM: seconds of being not ready while still accepting; `up` sets 0"
    )
    drain_s: float = setting(
        values.seconds(0, 3600), 30.0, "then: seconds over which the connections are closed; `up` sets 2"
    )
    auth_port: int = setting(values.port, 8001, "the port of `chat-gateway auth`")
    metrics_port: int | None = setting(
        values.port, None, "a separate port for `/metrics`, which then is on no other port", shown="the public one"
    )
    retention_days: int = setting(
        values.whole(0, 36_500),
        0,
        "for how many days messages are kept; `retention_days` of a chat comes first; 0 = without end",
    )
    audit_retention_days: int = setting(
        values.whole(0, 3650),
        90,
        "the days that the database keeps audit records; 0 = they are only lines in the log",
    )
    traces_per_s: int = setting(
        values.whole(0, 10_000),
        0,
        "OpenTelemetry traces that a node begins in a second, at most; 0 = none (docs/traces.md)",
    )
    log_format: LogFormat = setting(
        values.choice(LogFormat), LogFormat.JSON, "`json` or `text`", shown="`json`; `text` in development"
    )
    is_proxy: bool = setting(
        values.flag, False, "forward messages of the echo channel to `ECHO_PROXY_URL`, and its replies to the client"
    )
    echo_proxy_url: str = setting(
        values.web_socket,
        "wss://echo.websocket.org",
        "the WebSocket server that the echo channel is proxied to",
        secret=True,
    )
    echo_transcript_kb: int = setting(
        values.whole(0, 10_000_000),
        1024,
        "KiB of an echo session's transcript, in both directions and with 256 bytes a message; 0 = no limit",
        shown="1,024; no limit in development",
    )
    echo_kb_per_hour: int = setting(
        values.whole(0, 10_000_000),
        10_240,
        "KiB of echo transcripts that a user may store in an hour, over all replicas; 0 = no limit",
        shown="10,240; no limit in development",
    )
    echo_kb_per_hour_per_address: int = setting(
        values.whole(0, 10_000_000),
        102_400,
        "KiB of echo transcripts in an hour from one address or IPv6 /64, over all replicas; 0 = no limit",
        shown="102,400; no limit in development",
    )
    echo_transcripts_mb: int = setting(
        values.whole(0, 100_000_000),
        10_240,
        "MiB of all echo transcripts, beyond which the oldest are deleted; 0 = no limit",
    )
    echo_transcript_days: int = setting(
        values.whole(0, 36_500), 0, "the days after which echo transcripts are deleted; 0 = they are kept"
    )
    static_path: Path = setting(
        values.page_folder, PAGE_FOLDER, "the folder of the page's files, with an `index.html`", shown="`web`"
    )
    page_image_sources: tuple[str, ...] = setting(
        values.image_sources,
        (),
        "comma list of the https origins whose images the page shows below the message that links to them; `https:` ="
        " any, so that a sender can make readers tell any server their addresses (docs/security.md)",
        shown="none: links only",
    )
    debug: bool = setting(values.flag, False, "log more; rejected in production")

    @property
    def is_production(self) -> bool:
        """Whether unsafe settings are rejected."""
        return self.app_env is Environment.PRODUCTION


def known_settings() -> tuple[Field[Any], ...]:
    """The fields of Settings in the order of the table; `metadata` has `parse`, `meaning`, `shown` and `secret`."""
    return fields(Settings)
