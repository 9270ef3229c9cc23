"""Every setting that is a URL or part of one: percent-encoded values reach the client that connects."""

import asyncio
import string
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import pytest
from aiormq.connection import Connection as AmqpConnection
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, parse_url
from websockets.uri import parse_uri

from gateway.config.redis_options import _OF_ALL, _OF_TLS
from gateway.config.redis_url import ClusterUrl, SentinelUrl, split
from gateway.config.settings import Settings
from gateway.config.sources import load
from gateway.errors import SettingsError
from gateway.redis.connection.redis_py import client_options
from httpapi.site import Site
from storage.database.database_url import PostgresUrl, parse

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
NAME = st.text(string.ascii_lowercase + string.digits + "-_", min_size=1, max_size=20)
IPV6 = st.ip_addresses(v=6).map(str)
HOST = NAME | st.ip_addresses(v=4).map(str) | IPV6
PORT = st.integers(1, 65535)
PLACE = st.tuples(HOST, PORT)
PLACES = st.lists(PLACE, min_size=1, max_size=3, unique=True)
SEGMENT = TEXT.filter(lambda text: text not in {".", ".."})  # which every reader of URLs resolves


def settings(**environ: str) -> Settings:
    return load(environ={"APP_ENV": "development", **environ})


def problem(**environ: str) -> str:
    with pytest.raises(SettingsError) as failure:
        settings(**environ)
    return str(failure.value)


def at(place: tuple[str, int]) -> str:
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def encoded(text: str) -> str:
    return quote(text, safe="")


def reached(options: Any) -> tuple[object, ...]:
    return tuple(options.get(name) for name in ("username", "password", "host", "port", "db"))


@given(st.lists(st.tuples(TEXT, TEXT, PLACE, st.integers(0, 15)), min_size=1, max_size=3), st.sampled_from(", \n"))
def test_redis_url_parts_of_a_list_reach_redis_py(
    servers: list[tuple[str, str, tuple[str, int], int]], separator: str
) -> None:
    urls = [
        f"redis://{encoded(user)}:{encoded(password)}@{at(place)}/{database}"
        for user, password, place, database in servers
    ]
    if len(set(urls)) < len(urls):
        return
    got = [reached(parse_url(one)) for one in split(settings(REDIS_URL=separator.join(urls)).redis_url)]
    assert got == [(user, password, *place, database) for user, password, place, database in servers]


@given(TEXT, TEXT, TEXT, st.integers(0, 15))
def test_redis_url_of_a_unix_socket_reaches_redis_py(user: str, password: str, path: str, database: int) -> None:
    url = settings(REDIS_URL=f"unix://{encoded(user)}:{encoded(password)}@/{encoded(path)}?db={database}").redis_url
    options: dict[str, Any] = dict(parse_url(url))
    assert (options["username"], options["password"]) == (user, password)
    assert (options["path"], options["db"]) == (f"/{path}", database)


@given(TEXT, TEXT, PLACES, TEXT, st.integers(0, 15), PLACE, TEXT, TEXT)
def test_redis_url_of_sentinels_parts_reach_redis_py(
    user: str,
    password: str,
    sentinels: list[tuple[str, int]],
    service: str,
    database: int,
    master: tuple[str, int],
    sentinel_user: str,
    sentinel_password: str,
) -> None:
    own = urlencode({"sentinel_username": sentinel_user, "sentinel_password": sentinel_password, "client_name": user})
    places = ",".join(map(at, sentinels))
    raw = f"redis+sentinel://{encoded(user)}:{encoded(password)}@{places}/{encoded(service)}/{database}?{own}"
    (one,) = split(settings(REDIS_URL=raw).redis_url)
    url = SentinelUrl.parse(one)
    assert url is not None
    assert url.service == service
    expected = [(sentinel_user, sentinel_password, host, port, None) for host, port in sentinels]
    assert [reached(parse_url(sentinel)) for sentinel in url.sentinels] == expected
    options: dict[str, Any] = dict(parse_url(url.redis(*master)))
    assert reached(options) == (user, password, *master, database)
    assert options["client_name"] == user


@given(TEXT, TEXT, PLACES)
def test_redis_url_of_a_cluster_parts_reach_redis_py(user: str, password: str, places: list[tuple[str, int]]) -> None:
    raw = f"redis+cluster://{encoded(user)}:{encoded(password)}@{','.join(map(at, places))}"
    url = ClusterUrl.parse(settings(REDIS_URL=raw).redis_url)
    assert url is not None
    got = [reached(parse_url(url.node(host)))[:4] for host in url.hosts]
    assert got == [(user, password, *place) for place in places]


@given(TEXT, TEXT, PLACE, SEGMENT)
def test_amqp_url_parts_reach_aiormq(user: str, password: str, place: tuple[str, int], vhost: str) -> None:
    raw = f"amqp://{encoded(user)}:{encoded(password)}@{at(place)}/{encoded(vhost)}"
    url = settings(AMQP_URL=raw).amqp_url

    async def connection() -> AmqpConnection:
        return AmqpConnection(url)

    driver = asyncio.run(connection())
    assert (driver.url.user, driver.url.password, driver.url.host, driver.url.port) == (user, password, *place)
    assert driver.vhost == vhost


@given(TEXT, TEXT, PLACE, SEGMENT)
def test_jwks_url_parts_reach_httpx(user: str, password: str, place: tuple[str, int], path: str) -> None:
    raw = f"https://{encoded(user)}:{encoded(password)}@{at(place)}/{encoded(path)}?v={encoded(path)}"
    url = httpx.URL(settings(JWKS_URL=raw).jwks_url)
    assert (url.username, url.password, url.host) == (user, password, place[0])
    assert (url.port or 443, url.path, url.params["v"]) == (place[1], f"/{path}", path)


@given(TEXT, TEXT, PLACE, TEXT)
def test_echo_proxy_url_parts_reach_websockets(user: str, password: str, place: tuple[str, int], path: str) -> None:
    raw = f"wss://{encoded(user)}:{encoded(password)}@{at(place)}/{encoded(path)}?{encoded(path)}"
    url = parse_uri(settings(ECHO_PROXY_URL=raw).echo_proxy_url)
    assert (url.username, url.password, url.host, url.port) == (user, password, *place)
    assert (url.path, url.query) == (f"/{encoded(path)}", encoded(path))


@given(PLACE, TEXT)
def test_public_url_host_and_path_are_kept_unchanged(place: tuple[str, int], path: str) -> None:
    raw = f"https://{at(place)}/{encoded(path)}"
    public = settings(PUBLIC_URL=f"{raw}/").public_url
    assert public == raw
    assert Site(public).cookie_path == f"/{encoded(path)}"
    assert (urlsplit(public).hostname, urlsplit(public).port) == place


STRIPPED = TEXT.map(str.strip).filter(bool)


@given(STRIPPED, STRIPPED, STRIPPED, st.lists(HOST, min_size=1, max_size=3), PORT)
def test_postgres_parts_reach_the_driver(user: str, password: str, database: str, hosts: list[str], port: int) -> None:
    given_parts = {"POSTGRES_USER": user, "POSTGRES_PASSWORD": password, "POSTGRES_DB": database}
    url = parse(settings(POSTGRES_HOST=",".join(hosts), POSTGRES_PORT=str(port), **given_parts).database_url)
    assert isinstance(url, PostgresUrl)
    assert (url.user, url.password, url.database) == (user, password, database)
    assert url.hosts == tuple((host, port) for host in hosts)


URLS = {
    "REDIS_URL": ("redis", "rediss", "redis+sentinel", "redis+cluster", "unix"),
    "AMQP_URL": ("amqp", "amqps"),
    "JWKS_URL": ("http", "https"),
    "ECHO_PROXY_URL": ("ws", "wss"),
    "PUBLIC_URL": ("http", "https"),
}


def _open_nothing(name: str, raw: str) -> None:
    """What the clients do with a URL before they connect."""
    if name == "REDIS_URL":
        for one in split(raw):
            cluster, sentinels = ClusterUrl.parse(one), SentinelUrl.parse(one)
            if cluster is not None:
                RedisCluster(startup_nodes=[ClusterNode("h", 1)], **client_options(cluster.node("")))
            for url in [cluster.node("h:1")] if cluster else sentinels.sentinels if sentinels else [one]:
                _connections(url)
    elif name == "AMQP_URL":

        async def connection() -> None:
            AmqpConnection(raw)

        asyncio.run(connection())
    elif name == "JWKS_URL":
        httpx.Request("GET", raw)
    elif name == "ECHO_PROXY_URL":
        parse_uri(raw)
    else:
        raw.encode("ascii")


def _connections(url: str) -> None:
    Redis.from_url(url).connection_pool.make_connection()
    options: dict[str, Any] = dict(parse_url(url))
    options.pop("connection_class", Connection)(**options)


SOUP = st.text(string.ascii_letters + string.digits + "/:@?#[]%&=,.; \té\u2100\\", max_size=30)


@pytest.mark.parametrize("name", URLS)
@given(st.data())
def test_url_that_is_accepted_never_fails_in_its_client(name: str, data: st.DataObject) -> None:
    raw = f"{data.draw(st.sampled_from(URLS[name]))}://{data.draw(SOUP)}"
    try:
        loaded = settings(**{name: raw})
    except SettingsError as error:
        assert str(error).startswith(f"{name} must be ")
        assert len(str(error).splitlines()) == 1
    else:
        _open_nothing(name, getattr(loaded, name.lower()))


@pytest.mark.parametrize(
    "form",
    [
        "redis://:hunter2@h/0?{}",
        "rediss://:hunter2@h?{}",
        "redis://a/0, redis://b/0?{}",
        "redis+sentinel://:hunter2@h/chat?{}",
        "redis+cluster://:hunter2@h:1/?{}",
        "unix:///run/redis?{}",
    ],
)
@pytest.mark.parametrize("option", ["frobnicate=1", "retry=1", "decode_responses=true", "max_connections=5"])
def test_unknown_option_of_a_redis_url_is_named(form: str, option: str) -> None:
    told = problem(REDIS_URL=form.format(option))
    assert told.startswith(f"REDIS_URL must be a URL without the parameter {option.partition('=')[0]}: ")
    assert len(told.splitlines()) == 1
    assert "hunter2" not in told


@pytest.mark.parametrize("option", ["db=x", "socket_timeout=soon", "ssl_cert_reqs=maybe", "ssl_min_version=1.2"])
def test_invalid_option_of_a_redis_url_is_named(option: str) -> None:
    told = problem(REDIS_URL=f"rediss://:hunter2@h/?{option}")
    assert told.startswith(f"REDIS_URL must be a URL whose {option.partition('=')[0]} is ")


def test_tls_option_without_tls_gives_clear_error() -> None:
    assert "ssl_cert_reqs (it needs rediss://)" in problem(REDIS_URL="redis://h/0?ssl_cert_reqs=none")


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+cluster", "rediss+cluster"])
def test_each_option_of_a_redis_url_suits_every_client(scheme: str) -> None:
    values = {"db": "0", "ssl_cert_reqs": "none", "ssl_min_version": "771", "ssl_check_hostname": "no"}
    values |= dict.fromkeys(("health_check_interval", "socket_connect_timeout", "socket_timeout"), "1")
    known = [*_OF_ALL, *(_OF_TLS if scheme.startswith("rediss") else ())]
    url = f"{scheme}://h:1/?" + "&".join(
        f"{name}={values.get(name, 'x')}" for name in known if name != "socket_keepalive"
    )
    _open_nothing("REDIS_URL", settings(REDIS_URL=url).redis_url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/abc",
        "redis://h/0/1",
        "redis://:p/w@h/0",
        "redis://:p#w@h/0",
        "redis://:1/w@h",
        "redis://u@h@i",
        "redis+sentinel://h/chat/-1",
    ],
)
def test_malformed_redis_url_is_rejected(url: str) -> None:
    assert problem(REDIS_URL=url).startswith("REDIS_URL must be ")


@pytest.mark.parametrize(
    "url", ["https://u:p@a.example", "https://a.example/?x=1", "https://a.example/#x", "http://чат"]
)
def test_public_url_with_other_parts_is_rejected(url: str) -> None:
    assert problem(PUBLIC_URL=url).startswith("PUBLIC_URL must be a URL ")


def test_scheme_is_case_insensitive() -> None:
    assert settings(PUBLIC_URL="HTTPS://Chat.example/").public_url == "https://Chat.example"


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "SECRET_KEY", "REDIS_URL"])
def test_value_that_is_not_utf_8_gives_clear_error(name: str) -> None:
    assert problem(POSTGRES_HOST="db", **{name: "p\udcff"}).startswith(f"{name} must be UTF-8")
