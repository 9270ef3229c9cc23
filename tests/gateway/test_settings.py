"""Where settings come from, what they may be, and what production refuses."""

import re
from pathlib import Path

import pytest

from gateway.settings import (
    Environment,
    LogFormat,
    SecondConnection,
    Settings,
    SettingsError,
    known_settings,
    load,
    read,
)
from tests.seeds.extract import seed_text

DEVELOPMENT = {"APP_ENV": "development"}
OUTSIDE = {"JWT_ISSUER": "https://main.example", "JWT_AUDIENCE": "chat"}


def _load(**environ: str) -> Settings:
    return load(environ={**DEVELOPMENT, **environ}, folder=Path("/nowhere"))


def _problems(**environ: str) -> str:
    with pytest.raises(SettingsError) as failure:
        _load(**environ)
    return str(failure.value)


def test_a_flag_beats_the_environment_beats_the_files_beats_the_commands_defaults(tmp_path: Path) -> None:
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


def test_an_empty_value_is_an_unset_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_TEXT_LENGTH=5\nMESSAGES_PER_MINUTE=\n")
    settings = load(environ={"MAX_TEXT_LENGTH": " "}, folder=tmp_path)
    assert (settings.max_text_length, settings.messages_per_minute) == (5, 10)


def test_dotenv_lines_are_read_as_shells_read_them(tmp_path: Path) -> None:
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


def test_a_file_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env file cannot be read"):
        load(environ={}, folder=tmp_path)


@pytest.mark.parametrize("raw", ["true", "True", "1"])
def test_true_is_written_in_more_than_one_way(raw: str) -> None:
    assert _load(DEBUG=raw).debug


@pytest.mark.parametrize("raw", ["false", "False", "0"])
def test_false_is_written_in_more_than_one_way(raw: str) -> None:
    assert not _load(DEBUG=raw).debug


def test_values_become_what_they_mean() -> None:
    settings = _load(
        SECOND_CONNECTION="reject",
        ALLOWED_ORIGINS="https://A.example, http://b.example:81",
        TRUSTED_PROXIES="10.0.0.0/8,192.0.2.7,::1",
        SERVICE_KEYS="a,b",
        PING_INTERVAL_S="2.5",
        METRICS_PORT="9100",
        PUBLIC_URL="https://chat.example/",
    )
    assert settings.second_connection is SecondConnection.REJECT
    assert settings.allowed_origins == ("https://a.example", "http://b.example:81")
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "192.0.2.7/32", "::1/128"]
    assert settings.service_keys == ("a", "b")
    assert (settings.ping_interval_s, settings.metrics_port) == (2.5, 9100)
    assert settings.public_url == "https://chat.example"
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
def test_a_wrong_value_is_a_sentence_that_names_its_setting(name: str, raw: str) -> None:
    assert _problems(**{name: raw}).startswith(f"{name} must be ")


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(_problems(APP_PORT="x", DEBUG="y", DRAIN_S="z").splitlines()) == 3


@pytest.mark.parametrize("name", [known.name.upper() for known in known_settings()])
def test_no_error_and_no_repr_shows_a_password(name: str) -> None:
    url = "nonsense://user:hunter2@[host/path"
    try:
        told = repr(_load(**{name: url}))
    except SettingsError as error:
        told = str(error)
    if name not in {"APP_HOST", "POSTGRES_HOST", "POSTGRES_DB", "POSTGRES_USER", "DATA_DIR", "STATIC_PATH"} | {
        *OUTSIDE
    }:
        assert "hunter2" not in told  # whoever puts a URL into a name sees it again


def test_secrets_stay_out_of_the_repr() -> None:
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
        "redis+cluster://user:p,a@a:7000,[::1]:7001/?ssl_check_hostname=false",
        "rediss+cluster://a.example:7000",
        "redis+sentinel://a,b/main,redis+sentinel://c,d/other",
    ],
)
def test_redis_may_be_several_or_a_cluster(url: str) -> None:
    assert _load(REDIS_URL=url).redis_url == url


def test_without_a_database_it_is_sqlite_in_the_data_folder(tmp_path: Path) -> None:
    assert _load(DATA_DIR=str(tmp_path)).database_url == f"sqlite://{tmp_path}/chat.db"


def test_postgres_comes_part_by_part() -> None:
    url = _load(POSTGRES_HOST="db", POSTGRES_USER="a@b", POSTGRES_PASSWORD="c/d:e").database_url
    assert url == "postgres://a%40b:c%2Fd%3Ae@db:5432/app"


def test_a_database_url_wins_over_its_parts() -> None:
    url = "postgresql://u:p@h/d"
    assert _load(POSTGRES_HOST="db", DATABASE_URL=url).database_url == url


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"POSTGRES_HOST": "db"}, "POSTGRES_PASSWORD"),
        ({"DATABASE_URL": "postgres://u:postgres@h/d"}, "DATABASE_URL"),
        ({"AMQP_URL": "amqp://guest:guest@h/"}, "AMQP_URL"),
        ({"AMQP_URL": "amqps://h/vhost"}, "AMQP_URL"),
        ({"SERVICE_KEYS": "short"}, "SERVICE_KEYS"),
        ({"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS"),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES"),
        ({"TRUSTED_PROXIES": "::/0"}, "TRUSTED_PROXIES"),
        ({"DEBUG": "true"}, "DEBUG"),
    ],
)
def test_production_refuses_what_is_unsafe_and_development_does_not(environ: dict[str, str], named: str) -> None:
    _load(**environ)
    with pytest.raises(SettingsError, match=named):
        load(environ=environ, folder=Path("/nowhere"))


def test_guests_are_let_in_by_default_in_development_only() -> None:
    assert _load().allow_guests
    assert not _load(ALLOW_GUESTS="false").allow_guests
    assert not load(environ={}, folder=Path("/nowhere")).allow_guests
    assert load(environ={"ALLOW_GUESTS": "true"}, folder=Path("/nowhere")).allow_guests


@pytest.mark.parametrize(
    ("name", "value"), [("JWKS_URL", "https://main.example/keys/"), ("SECRET_KEY", "0123456789abcdef" * 4)]
)
def test_production_wants_to_know_whose_and_for_whom_outside_tokens_are(name: str, value: str) -> None:
    assert getattr(_load(**{name: value}), name.lower()) == value
    load(environ={name: value, **OUTSIDE}, folder=Path("/nowhere"))
    for missing in OUTSIDE:
        given = {setting: text for setting, text in OUTSIDE.items() if setting != missing}
        with pytest.raises(SettingsError, match=f"{missing} must be set in production where {name} is"):
            load(environ={name: value, **given}, folder=Path("/nowhere"))


def test_production_wants_a_secret_that_cannot_be_guessed() -> None:
    assert _load(SECRET_KEY="x" * 31).secret_key
    with pytest.raises(SettingsError, match="SECRET_KEY has fewer than 32"):
        load(environ={"SECRET_KEY": "x" * 31, **OUTSIDE}, folder=Path("/nowhere"))


@pytest.mark.parametrize("raw", ["-----BEGIN PUBLIC KEY-----", "---- BEGIN SSH2 PUBLIC KEY ----", "ssh-rsa AAAA"])
def test_a_public_key_is_no_secret(raw: str) -> None:
    assert _problems(SECRET_KEY=raw) == "SECRET_KEY must be a secret, which a public key or a certificate is not."


def test_production_is_the_default_and_starts_with_its_defaults() -> None:
    settings = load(environ={}, folder=Path("/nowhere"))
    assert settings.is_production
    assert settings.log_format is LogFormat.JSON


def test_seed_003s_own_env_file_works_as_it_is_documented(tmp_path: Path) -> None:
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
def test_proxy_mode_is_switched_as_seed_003_writes_it(raw: str, value: bool) -> None:
    assert _load(IS_PROXY=raw).is_proxy is value
    assert _load(IS_PROXY=raw).echo_proxy_url == "wss://echo.websocket.org"


def test_a_folder_without_a_page_is_refused_at_the_start(tmp_path: Path) -> None:
    assert _problems(STATIC_PATH=str(tmp_path)) == "STATIC_PATH must be a folder with an index.html."
