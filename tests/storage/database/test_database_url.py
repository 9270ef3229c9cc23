"""Database URLs are parsed as by libpq, and a SQLite path is used verbatim."""

import socket
import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.database.database_url import PARAMETERS, PostgresUrl, SqliteUrl, parse
from tests.support.certificates import Authority

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
NAME = st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=20)
HOST = NAME | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)


def postgres(url: str) -> PostgresUrl:
    parsed = parse(url)
    assert isinstance(parsed, PostgresUrl)
    return parsed


def problem(url: str) -> str:
    with pytest.raises(ValueError, match="a URL") as failure:
        parse(url)
    return str(failure.value)


@given(TEXT, TEXT, TEXT, st.lists(st.tuples(HOST, st.integers(1, 65535)), min_size=1, max_size=3), TEXT)
def test_quoted_parts_of_postgres_url_are_decoded(
    user: str, password: str, database: str, hosts: list[tuple[str, int]], application: str
) -> None:
    user_part, password_part, path = (quote(part, safe="") for part in (user, password, database))
    places = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts)
    url = postgres(f"postgres://{user_part}:{password_part}@{places}/{path}?application_name={quote(application)}")
    assert (url.user, url.password, url.database) == (user, password, database)
    assert url.hosts == tuple(hosts)
    assert url.server_settings == {"application_name": application}


@given(TEXT, TEXT, TEXT, HOST)
def test_postgres_url_parameters_override_other_parts(user: str, password: str, database: str, host: str) -> None:
    words = {"user": user, "password": password, "dbname": database, "host": host, "port": "6543"}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in words.items())
    url = postgres(f"postgresql://a:b@localhost:1/c?{query}")
    assert (url.user, url.password, url.database, url.hosts) == (user, password, database, ((host, 6543),))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40))
def test_sqlite_url_path_is_used_verbatim(name: str) -> None:
    assert parse(f"sqlite:///folder/x{name}") == SqliteUrl(f"/folder/x{name}")


@pytest.mark.parametrize(
    ("url", "hosts", "user", "database"),
    [
        ("postgres://sa%40proj.iam@h/chat%20db", (("h", 5432),), "sa@proj.iam", "chat db"),
        ("postgresql://u:p@[::1]:5433/d", (("::1", 5433),), "u", "d"),
        ("postgresql://u:p@[fe80::1%25eth0]/d", (("fe80::1%eth0", 5432),), "u", "d"),
        ("postgres://u:p@a:1,[::2]:3,c/d", (("a", 1), ("::2", 3), ("c", 5432)), "u", "d"),
        ("postgres://u:p@a,b/d?port=6000", (("a", 6000), ("b", 6000)), "u", "d"),
        ("postgres://", (), None, None),
        ("postgres:///d", (), None, "d"),
        ("postgres://:6000/d", (("", 6000),), None, "d"),
        # Heroku
        ("postgres://u1:p2@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d3", None, "u1", "d3"),
        # Supabase's pooler
        ("postgresql://postgres.ref:p@aws-0-eu.pooler.supabase.com:6543/postgres", None, "postgres.ref", "postgres"),
        # Cloud SQL, in the three forms of its documentation
        ("postgres://u:p@/d?host=/cloudsql/p:eu:i", (("/cloudsql/p:eu:i", 5432),), "u", "d"),
        ("postgres://u:p@localhost/d?host=/cloudsql/p:eu:i", (("/cloudsql/p:eu:i", 5432),), "u", "d"),
        ("postgres://u:p@%2Fcloudsql%2Fp%3Aeu%3Ai/d", (("/cloudsql/p:eu:i", 5432),), "u", "d"),
    ],
)
def test_postgres_urls_of_managed_services_are_parsed(
    url: str, hosts: tuple[tuple[str, int], ...] | None, user: str | None, database: str | None
) -> None:
    parsed = postgres(url)
    assert hosts is None or parsed.hosts == hosts
    assert (parsed.user, parsed.database) == (user, database)


def test_postgres_url_of_neon_keeps_its_sslmode_and_endpoint() -> None:
    url = "postgresql://u:p@ep-1.eu.aws.neon.tech/neondb?sslmode=require&channel_binding=prefer&options=endpoint%3Dep-1"
    assert postgres(url).tls == {"sslmode": "require"}
    assert postgres(url).server_settings == {"options": "endpoint=ep-1"}


@pytest.mark.parametrize(
    "sslmode", ["", "&sslmode=allow", "&sslmode=prefer", "&sslmode=require", "&sslmode=verify-full"]
)
def test_required_channel_binding_verifies_with_system_roots(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sslmode: str
) -> None:
    without_default_root(monkeypatch, tmp_path)
    url = f"postgresql://u:p@ep-1-pooler.eu.aws.neon.tech/neondb?channel_binding=require{sslmode}"
    assert postgres(url).tls == {"sslmode": "verify-full", "sslrootcert": "system"}


def test_required_channel_binding_keeps_roots_named_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_default_root(monkeypatch, tmp_path)
    root = Authority(tmp_path, "root").certificate
    url = "postgres://h/d?sslmode=require&channel_binding=require"
    assert postgres(f"{url}&sslrootcert={root}").tls == {"sslmode": "verify-full", "sslrootcert": str(root)}
    assert postgres(f"{url}&sslrootcert=system").tls == {"sslmode": "verify-full", "sslrootcert": "system"}
    monkeypatch.setenv("PGSSLROOTCERT", str(root))
    assert postgres(url).tls == {"sslmode": "verify-full"}
    monkeypatch.setenv("PGSSLROOTCERT", "system")
    assert postgres(url).tls == {"sslmode": "verify-full", "sslrootcert": "system"}


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgres://h/d?sslmode=disable", "sslmode"),
        ("postgres:///d?sslmode=require", "host"),
        ("postgres:///d?host=/cloudsql/p:eu:i", "host"),
        ("postgres://a,%2Frun%2Fpostgresql/d?sslmode=require", "host"),
    ],
)
def test_required_channel_binding_without_tls_is_refused(url: str, named: str) -> None:
    message = problem(f"{url}&channel_binding=require")
    assert "channel_binding=require" in message
    assert named in message


@pytest.mark.parametrize("choice", ["disable", "prefer"])
def test_optional_channel_binding_leaves_sslmode_alone(choice: str) -> None:
    assert postgres(f"postgres://h/d?sslmode=require&channel_binding={choice}").tls == {"sslmode": "require"}


def without_default_root(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Hide the root certificates that libpq takes where a URL names none."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)


@pytest.mark.parametrize("character", list("#[]:&=+ €"))
def test_postgres_password_may_have_unreserved_characters(character: str) -> None:
    assert postgres(f"postgres://u:a{character}b@h/d").password == f"a{character}b"


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgres://h/d?frobnicate=1", "frobnicate"),
        ("postgres://h/d?pgbouncer=true", "pgbouncer"),
        ("postgres://h/d?sslmode=on", "sslmode"),
        ("postgres://h/d?connect_timeout=soon", "connect_timeout"),
        ("postgres://h/d?keepalives=yes", "keepalives"),
        ("postgres://h/d?keepalives_count=1000", "keepalives_count"),
        ("postgres://h/d?target_session_attrs=best", "target_session_attrs"),
        ("postgres://h/d?channel_binding=maybe", "channel_binding"),
        ("postgres://h/d?sslrootcert=/nowhere.pem", "sslrootcert"),
        ("postgres://h/d?sslcert=/nowhere.pem", "sslcert"),
        ("postgres://h/d?sslmode=require&sslrootcert=system", "sslmode=verify-full"),
        ("postgres://h:0/d", "port"),
        ("postgres://h:65536/d", "port"),
        ("postgres://a,b,c/d?port=1,2", "port"),
        ("postgres://a:b:c/d", "host"),
        ("postgres://[::1/d", "host"),
        ("postgres://h/%FF", "UTF-8"),
        ("postgres://h/%00", "%00"),
        ("sqlite://", "path"),
        ("postgresql+asyncpg://h/d", "postgresql://"),
    ],
)
def test_unusable_url_gives_one_error_with_reason(url: str, named: str) -> None:
    told = problem(url)
    assert named in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:hun/ter2@h/d",
        "postgres://u:hun?ter2@h/d",
        "postgres://u:hun?ter2=1@h/d",
        "postgres://u:hun/12?ter2@h/d",
        "postgres://u:ter2@h/d?ter2",
        "postgres://u:ter2@h:ter2/d",
    ],
)
def test_errors_hide_every_part_of_the_password(url: str) -> None:
    told = problem(url)
    assert "hun" not in told
    assert "ter2" not in told


def test_tls_verification_needs_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "sslrootcert" in problem("postgres://h/d?sslmode=verify-full")
    assert postgres("postgres://h/d?sslmode=verify-full&sslrootcert=system").tls["sslrootcert"] == "system"
    assert postgres("postgres://h/d?sslrootcert=system").tls["sslmode"] == "verify-full"


def test_keepalives_are_socket_options() -> None:
    on = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert postgres("postgres://h/d").socket_options == (on,)
    assert postgres("postgres://h/d?keepalives=0").socket_options == ((*on[:2], 0),)
    url = postgres("postgres://h/d?keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3")
    tcp = socket.IPPROTO_TCP
    idle, interval, count = (tcp, socket.TCP_KEEPIDLE, 30), (tcp, socket.TCP_KEEPINTVL, 5), (tcp, socket.TCP_KEEPCNT, 3)
    assert url.socket_options == (on, idle, interval, count)


def test_empty_parameter_means_its_default() -> None:
    assert postgres("postgres://h/d?" + "&".join(f"{name}=" for name in PARAMETERS)) == postgres("postgres://h/d")


def test_displayed_url_hides_secrets() -> None:
    url = "postgres://u:hunter2@[::1]:1,b/d?password=hunter2&application_name=x"
    assert str(parse(url)) == "postgres://[::1]:1,b:5432/d"
    assert "hunter2" not in repr(parse(url))
