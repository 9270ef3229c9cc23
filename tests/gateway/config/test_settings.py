"""Sources and valid values of settings, and values that production rejects."""

import re
from pathlib import Path

import pytest

from gateway.config.choices import Environment, LogFormat, SecondConnection
from gateway.config.settings import Settings, known_settings
from gateway.config.sources import load, read
from gateway.errors import SettingsError
from storage.database.database_url import PostgresUrl, SqliteUrl, parse
from tests.seeds.extract import seed_text

DEVELOPMENT = {"APP_ENV": "development"}
OUTSIDE = {"JWT_ISSUER": "https://main.example", "JWT_AUDIENCE": "chat"}


def _load(**environ: str) -> Settings:
    return load(environ={**DEVELOPMENT, **environ}, folder=Path("/nowhere"))


def _problems(**environ: str) -> str:
    with pytest.raises(SettingsError) as failure:
        _load(**environ)
    return str(failure.value)


def test_precedence_is_flag_environment_files_command_defaults(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    names = ["APP_PORT", "AUTH_PORT", "METRICS_PORT", "MAX_TEXT_LENGTH", "MESSAGES_PER_MINUTE"]
    sources = [dict.fromkeys(names[at:], str(at + 1)) for at in range(5)]
    for file, source in ((".env", sources[2]), ("src/.env", sources[3])):
        (tmp_path / file).write_text("".join(f"{name}={value}\n" for name, value in source.items()))
    said = read(flags=sources[0], environ=sources[1], folder=tmp_path, defaults=sources[4])
    assert [said[name] for name in names] == ["1"] * 5
    said = read(environ=sources[1], folder=tmp_path, defaults=sources[4])
    assert [said.get(name) for name in names] == [None, "2", "2", "2", "2"]
    said = read(environ={}, folder=tmp_path, defaults=sources[4])
    assert [said.get(name) for name in names] == [None, None, "3", "3", "3"]


def test_empty_value_counts_as_unset(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_TEXT_LENGTH=5\nMESSAGES_PER_MINUTE=\n")
    settings = load(environ={"MAX_TEXT_LENGTH": " "}, folder=tmp_path)
    assert (settings.max_text_length, settings.messages_per_minute) == (5, 10)


def test_dotenv_lines_are_read_like_shell_assignments(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# a comment\n"
        "APP_HOST = 10.0.0.1   # another\n"
        "export PUBLIC_URL='https://a.example/#x'\n"
        'POSTGRES_PASSWORD="a # b"\n'
        "POSTGRES_USER=a#b\n"
        "this line says nothing\n"
        "POSTGRES_DB=\n"
    )
    assert read(environ={}, folder=tmp_path) == {
        "APP_HOST": "10.0.0.1",
        "PUBLIC_URL": "https://a.example/#x",
        "POSTGRES_PASSWORD": "a # b",
        "POSTGRES_USER": "a#b",
    }


def test_env_file_that_is_not_text_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env file cannot be read"):
        load(environ={}, folder=tmp_path)


@pytest.mark.parametrize("raw", ["true", "True", "1"])
def test_boolean_true_has_several_spellings(raw: str) -> None:
    assert _load(DEBUG=raw).debug


@pytest.mark.parametrize("raw", ["false", "False", "0"])
def test_boolean_false_has_several_spellings(raw: str) -> None:
    assert not _load(DEBUG=raw).debug


def test_values_are_parsed_to_their_types() -> None:
    settings = _load(
        SECOND_CONNECTION="reject",
        ALLOWED_ORIGINS="https://A.example, http://b.example:81",
        TRUSTED_PROXIES="10.0.0.0/8,192.0.2.7,::1",
        SERVICE_KEYS="a,b",
        PING_INTERVAL_S="2.5",
        METRICS_PORT="9100",
        PUBLIC_URL="https://chat.example/",
        PAGE_IMAGE_SOURCES="https://Img.example, https://127.0.0.1:8443,https:",
    )
    assert settings.second_connection is SecondConnection.REJECT
    assert settings.allowed_origins == ("https://a.example", "http://b.example:81")
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "192.0.2.7/32", "::1/128"]
    assert settings.service_keys == ("a", "b")
    assert (settings.ping_interval_s, settings.metrics_port) == (2.5, 9100)
    assert settings.public_url == "https://chat.example"
    assert settings.page_image_sources == ("https://img.example", "https://127.0.0.1:8443", "https:")
    assert settings.app_env is Environment.DEVELOPMENT
    assert settings.log_format is LogFormat.TEXT


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("APP_ENV", "staging"),
        ("APP_PORT", "0"),
        ("APP_PORT", "65536"),
        ("APP_PORT", "٨٠٠٠"),
        ("METRICS_PORT", "-1"),
        ("PUBLIC_URL", "chat.example"),
        ("REDIS_URL", "http://localhost"),
        ("REDIS_URL", "redis://a/0, http://b"),
        ("REDIS_URL", "redis://a/0,redis://a/0"),
        ("REDIS_URL", "redis://a/0 redis+cluster://b:1"),
        ("REDIS_URL", "redis+cluster://"),
        ("REDIS_URL", "redis+cluster://b"),
        ("REDIS_URL", "redis+cluster://b:1,c"),
        ("REDIS_URL", "redis+cluster://b:1/2"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "0"),
        ("ALLOWED_ORIGINS", "https://a.example/path"),
        ("ALLOWED_ORIGINS", "a.example"),
        ("PAGE_IMAGE_SOURCES", "http://images.example"),
        ("PAGE_IMAGE_SOURCES", "https://images.example/path"),
        ("PAGE_IMAGE_SOURCES", "https://images.example;script-src"),
        ("PAGE_IMAGE_SOURCES", "*"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("MAX_TEXT_LENGTH", "1e3"),
        ("MESSAGES_PER_MINUTE", "-1"),
        ("SECOND_CONNECTION", "both"),
        ("PING_INTERVAL_S", "nan"),
        ("DRAIN_S", "inf"),
        ("LOG_FORMAT", "xml"),
        ("DEBUG", "yes"),
    ],
)
def test_invalid_value_error_names_its_setting(name: str, raw: str) -> None:
    assert _problems(**{name: raw}).startswith(f"{name} must be ")


def test_all_invalid_settings_are_reported_together() -> None:
    assert len(_problems(APP_PORT="x", DEBUG="y", DRAIN_S="z").splitlines()) == 3


@pytest.mark.parametrize("name", [known.name.upper() for known in known_settings()])
def test_errors_and_repr_hide_passwords(name: str) -> None:
    url = "nonsense://user:hunter2@[host/path"
    try:
        told = repr(_load(**{name: url}))
    except SettingsError as error:
        told = str(error)
    if name not in {"APP_HOST", "POSTGRES_HOST", "POSTGRES_DB", "POSTGRES_USER", "DATA_DIR", "STATIC_PATH"} | {
        "KEYS_SECRET_FILE",
        "POSTGRES_PASSWORD_FILE",
        "WEBHOOKS_FILE",
        *OUTSIDE,
    }:
        assert "hunter2" not in told  # a URL in the value of another setting is repeated


def test_repr_hides_secrets() -> None:
    told = repr(
        _load(
            REDIS_URL="redis://:hunter2@h/0",
            DATABASE_URL="postgres://u:hunter2@h/d",
            AMQP_URL="amqp://u:hunter2@h/",
            POSTGRES_PASSWORD="hunter2",
            SERVICE_KEYS="hunter2",
            SECRET_KEY="hunter2",
            JWKS_URL="https://user:hunter2@main.example/keys",
        )
    )
    assert "hunter2" not in told


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pass@a:1/0, rediss://b/1\tunix:///run/redis.sock",
        "rediss+cluster://user:p,a@a:7000,[::1]:7001/?ssl_check_hostname=false",
        "rediss+cluster://a.example:7000",
        "redis+sentinel://a,b/main,redis+sentinel://c,d/other",
    ],
)
def test_redis_url_can_be_a_list_or_a_cluster(url: str) -> None:
    assert _load(REDIS_URL=url).redis_url == url


def test_default_database_is_sqlite_in_data_dir(tmp_path: Path) -> None:
    assert _load(DATA_DIR=str(tmp_path)).database_url == f"sqlite://{tmp_path}/chat.db"


def test_postgres_url_is_built_from_parts() -> None:
    url = _load(POSTGRES_HOST="db", POSTGRES_USER="a@b", POSTGRES_PASSWORD="c/d:e").database_url
    assert url == "postgres://a%40b:c%2Fd%3Ae@db:5432/app"


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("::1", "[::1]:5432"),
        ("[::1]", "[::1]:5432"),
        ("/cloudsql/p:eu:i", "%2Fcloudsql%2Fp%3Aeu%3Ai:5432"),
        ("db-1,db-2", "db-1:5432,db-2:5432"),
    ],
)
def test_postgres_host_can_be_address_socket_or_list(host: str, place: str) -> None:
    url = _load(POSTGRES_HOST=host, POSTGRES_DB="chat db").database_url
    assert url == f"postgres://postgres:postgres@{place}/chat%20db"
    parsed = parse(url)
    assert isinstance(parsed, PostgresUrl)
    assert [one for one, _ in parsed.hosts] == host.strip("[]").split(",")


@pytest.mark.parametrize("host", ["db:5433", "u@db", "db?x", "postgres://db"])
def test_postgres_host_with_other_url_parts_is_rejected(host: str) -> None:
    assert _problems(POSTGRES_HOST=host).startswith("POSTGRES_HOST must be ")


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20b", "a b", "чат"])
def test_data_dir_with_special_characters_is_used_verbatim(tmp_path: Path, name: str) -> None:
    assert parse(_load(DATA_DIR=f"{tmp_path}/{name}").database_url) == SqliteUrl(f"{tmp_path}/{name}/chat.db")


def test_unknown_database_url_parameter_is_named() -> None:
    told = _problems(DATABASE_URL="postgres://u:hunter2@h/d?frobnicate=1")
    assert told.startswith("DATABASE_URL must be a URL without the parameter frobnicate")
    assert "hunter2" not in told


def test_database_url_overrides_parts() -> None:
    url = "postgresql://u:p@h/d"
    assert _load(POSTGRES_HOST="db", DATABASE_URL=url).database_url == url


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"POSTGRES_HOST": "db"}, "POSTGRES_PASSWORD"),
        ({"DATABASE_URL": "postgres://u:postgres@h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgres://u@h/d?password=postgres"}, "DATABASE_URL"),
        ({"AMQP_URL": "amqp://guest:guest@h/"}, "AMQP_URL"),
        ({"AMQP_URL": "amqps://h/vhost"}, "AMQP_URL"),
        ({"AMQP_URL": "amqp://chat:change-me-please@h/"}, "AMQP_URL"),
        ({"DATABASE_URL": "postgres://u:example-password@h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgres://u:k3!z@h/d"}, "DATABASE_URL"),
        ({"REDIS_URL": "redis://redis:6379/0"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://127.0.0.1:6379,redis://other:6379"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+sentinel://one:26379,two:26379/main"}, "REDIS_URL"),
        ({"REDIS_URL": "rediss://:foobared@redis:6379/0"}, "REDIS_URL"),
        ({"SERVICE_KEYS": "short"}, "SERVICE_KEYS"),
        ({"SERVICE_KEYS": "bank:short:users"}, "SERVICE_KEYS"),
        ({"SERVICE_KEYS": "u9Yq2mTz7cKp4vXw8bNr,replace-this-service-key"}, "SERVICE_KEYS"),
        ({"SECRET_KEY": "your-secret-key-goes-here-0123456789", **OUTSIDE}, "SECRET_KEY"),
        ({"SECRET_KEY": "ab" * 20, **OUTSIDE}, "SECRET_KEY"),
        ({"KEYS_SECRET": "change-me-before-others-can-reach-it"}, "KEYS_SECRET"),
        ({"KEYS_SECRET": "u9Yq2mTz7cKp4vXw8bNr" * 2 + "," + "ab" * 20}, "KEYS_SECRET"),
        ({"JWKS_URL": "http://main.example/keys/", **OUTSIDE}, "JWKS_URL"),
        (
            {"PASSWORD_RESET_HOOK": "http://mail.example/", "PASSWORD_RESET_SECRET": "9f3c61d7ab02e84f" * 4},
            "RESET_HOOK",
        ),
        ({"PASSWORD_RESET_HOOK": "https://mail.example/"}, "PASSWORD_RESET_SECRET"),
        ({"PASSWORD_RESET_HOOK": "https://mail.example/", "PASSWORD_RESET_SECRET": "9f3c61d7ab02"}, "RESET_SECRET"),
        ({"TRUSTED_PROXIES": "0.0.0.0/1,128.0.0.0/1"}, "TRUSTED_PROXIES"),
        ({"TRUSTED_PROXIES": "2000::/3"}, "TRUSTED_PROXIES"),
        ({"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS"),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES"),
        ({"TRUSTED_PROXIES": "::/0"}, "TRUSTED_PROXIES"),
        ({"DEBUG": "true"}, "DEBUG"),
    ],
)
def test_unsafe_setting_is_rejected_only_in_production(environ: dict[str, str], named: str) -> None:
    _load(**environ)
    with pytest.raises(SettingsError, match=named):
        load(environ=environ, folder=Path("/nowhere"))


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_URL": "redis://127.0.0.1:6379,redis://[::1]:6380,unix:///run/redis.sock"},
        {"REDIS_URL": "redis+cluster://:u9Yq2mTz7c@a:1,b:2"},
        {"REDIS_URL": "redis+sentinel://:u9Yq2mTz7c@[2001:db8::1]:26379,[2001:db8::2]:26379/main"},
        {"REDIS_URL": "redis+sentinel://[::1]:26379,[::1]:26380/main"},
        {"REDIS_URL": "rediss://redis:6379/0?password=u9Yq2mTz7c"},
        {"DATABASE_URL": "postgres://u:of-our-own@h/d", "AMQP_URL": "amqp://chat:u9Yq2mTz7c@h/"},
        {"JWKS_URL": "http://127.0.0.1:9000/keys", **OUTSIDE},
        {"PASSWORD_RESET_HOOK": "http://localhost/mail", "PASSWORD_RESET_SECRET": "9f3c61d7ab02e84f" * 4},
        {"PASSWORD_RESET_HOOK": "https://10.0.0.9/mail", "PASSWORD_RESET_SECRET": "9f3c61d7ab02e84f" * 4},
        {"SECRET_KEY": "9f3c61d7ab02e84f" * 4, **OUTSIDE},
        {"KEYS_SECRET": "9f3c61d7ab02e84f" * 2 + ", " + "u9Yq2mTz7cKp4vXw8bNr" * 2},
        {"TRUSTED_PROXIES": "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fd00::/8,104.16.0.0/12,2a06:98c0::/29"},
    ],
)
def test_production_accepts_what_is_safe(environ: dict[str, str]) -> None:
    assert load(environ=environ, folder=Path("/nowhere")).is_production


def test_guests_are_allowed_by_default_only_in_development() -> None:
    assert _load().allow_guests
    assert not _load(ALLOW_GUESTS="false").allow_guests
    assert not load(environ={}, folder=Path("/nowhere")).allow_guests
    assert load(environ={"ALLOW_GUESTS": "true"}, folder=Path("/nowhere")).allow_guests


@pytest.mark.parametrize(
    ("name", "value"), [("JWKS_URL", "https://main.example/keys/"), ("SECRET_KEY", "9f3c61d7ab02e84f" * 4)]
)
def test_production_needs_issuer_and_audience_of_external_tokens(name: str, value: str) -> None:
    assert getattr(_load(**{name: value}), name.lower()) == value
    load(environ={name: value, **OUTSIDE}, folder=Path("/nowhere"))
    for missing in OUTSIDE:
        given = {setting: text for setting, text in OUTSIDE.items() if setting != missing}
        with pytest.raises(SettingsError, match=f"{missing} must be set in production where {name} is"):
            load(environ={name: value, **given}, folder=Path("/nowhere"))


def test_production_rejects_short_secret_key() -> None:
    assert _load(SECRET_KEY="9f3c61d7ab02e84f9f3c61d7ab02e84").secret_key
    with pytest.raises(SettingsError, match="SECRET_KEY has fewer than"):
        load(environ={"SECRET_KEY": "9f3c61d7ab02e84f9f3c61d7ab02e84", **OUTSIDE}, folder=Path("/nowhere"))


@pytest.mark.parametrize("raw", ["k" * 31, f"{'k' * 32},{'k' * 31}", f"{'k' * 32},{'k' * 32}", "a" * 32 + ",b" * 40])
def test_keys_secret_of_other_form_is_rejected(raw: str) -> None:
    expected = "KEYS_SECRET must be a secret of at least 32 characters, or two by comma, the new one first."
    assert _problems(KEYS_SECRET=raw) == expected


def test_keys_secret_comes_from_one_place() -> None:
    assert _load(KEYS_SECRET=f"{'n' * 32}, {'o' * 32}").keys_secret == ("n" * 32, "o" * 32)
    assert _problems(KEYS_SECRET="k" * 32, KEYS_SECRET_FILE="/run/secrets/keys") == (
        "KEYS_SECRET and KEYS_SECRET_FILE exclude each other."
    )


@pytest.mark.parametrize("name", ["messages", "messages.dead"])
def test_queue_for_chats_has_a_broker_and_its_own_name(name: str) -> None:
    broker = {"AMQP_URL": "amqp://localhost"}
    assert _load(AMQP_CHAT_QUEUE="chat-messages", **broker).amqp_chat_queue == "chat-messages"
    assert _problems(AMQP_CHAT_QUEUE="chat-messages") == "AMQP_CHAT_QUEUE needs AMQP_URL."
    expected = "AMQP_CHAT_QUEUE must be another queue than AMQP_QUEUE and its dead letters."
    assert _problems(AMQP_CHAT_QUEUE=name, **broker) == expected


@pytest.mark.parametrize("raw", ["-----BEGIN PUBLIC KEY-----", "---- BEGIN SSH2 PUBLIC KEY ----", "ssh-rsa AAAA"])
def test_public_key_is_rejected_as_secret_key(raw: str) -> None:
    assert _problems(SECRET_KEY=raw) == "SECRET_KEY must be a secret, which a public key or a certificate is not."


def test_production_is_default_and_its_defaults_are_valid() -> None:
    settings = load(environ={}, folder=Path("/nowhere"))
    assert settings.is_production
    assert settings.log_format is LogFormat.JSON


def test_env_file_of_seed_003_works_as_documented(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` *\|[^|]*\| `([^`]*)` *\|", seed_text(3), re.MULTILINE)
    assert len(rows) == 15
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").touch()
    lines = [f"{name}={value.replace('/project', str(tmp_path))}\n" for name, value in rows]
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / ".env").write_text("".join(lines))
    settings = load(environ=DEVELOPMENT, folder=tmp_path)
    assert (settings.app_host, settings.app_port) == ("0.0.0.0", 8000)
    assert settings.database_url == "postgres://postgres:postgres@db:5432/app"
    assert settings.access_token_expire_minutes == 30
    assert (settings.is_proxy, settings.debug) == (False, False)
    assert settings.static_path == tmp_path / "static"


@pytest.mark.parametrize(
    ("raw", "value"), [("True", True), ("true", True), ("1", True), ("False", False), ("0", False)]
)
def test_proxy_mode_is_set_as_in_seed_003(raw: str, value: bool) -> None:
    assert _load(IS_PROXY=raw).is_proxy is value
    assert _load(IS_PROXY=raw).echo_proxy_url == "wss://echo.websocket.org"


def test_static_path_without_index_page_is_rejected(tmp_path: Path) -> None:
    assert _problems(STATIC_PATH=str(tmp_path)) == "STATIC_PATH must be a folder with an index.html."


@pytest.mark.parametrize(
    "raw", ["bank:", ":key-of-bank", "a:b:c:d", "bank:k:owner", "bank:k:", "b nk:k", "bank:k,shop:k:users"]
)
def test_invalid_service_key_is_rejected_without_repeating_it(raw: str) -> None:
    with pytest.raises(SettingsError, match="SERVICE_KEYS must be a comma list of different keys") as rejected:
        _load(SERVICE_KEYS=f"hunter2,{raw}")
    assert raw not in str(rejected.value)
    assert "hunter2" not in str(rejected.value)
