"""docker-compose.yml, checked by the program that seed 003 names, and the services in addition to the gateways."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import yaml
from redis import Redis
from redis.exceptions import AuthenticationError

from gateway.config.production import weakness
from gateway.config.settings import known_settings
from gateway.config.sources import load
from gateway.errors import SettingsError
from storage.database.migrate import migrate
from tests.deploy.programs import ROOT, find_debian
from tests.seeds.extract import seed_text
from tests.support.auth_node import AuthNode
from tests.support.gateway_node import GatewayNode
from tests.support.servers import PostgresServer, answers, find_binary, free_port, temporary_folder, wait_until

IMAGE_OF_OURS = "chat-gateway:latest"
ROLES = ROOT / "deploy/postgres/roles.sh"
USERS = {"gateway": "chat_gateway", "auth": "chat_auth"}
"""The role of the database that a service uses; the others use the owner."""
SETTINGS = {known.name.upper() for known in known_settings()}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The services as compose sees them, with src/.env as in the example."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "docker-compose.yml", folder)
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    (folder / "src").mkdir()
    shutil.copy(ROOT / "src/.env.example", folder / "src/.env")
    command = [find_debian("docker-compose"), "-f", "docker-compose.yml", "config"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = yaml.safe_load(ended.stdout)["services"]
    return found


def _ours(services: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in services.items() if each["image"] == IMAGE_OF_OURS}


def test_compose_has_every_service(services: dict[str, Any]) -> None:
    assert set(_ours(services)) == {"gateway", "auth", "migrate"}
    assert set(services) - set(_ours(services)) == {
        "roles",
        "nginx",
        "db",
        "redis",
        "rabbitmq",
        "prometheus",
        "grafana",
    }
    assert services["gateway"]["scale"] == 2


def _password_file(folder: Path, given: dict[str, str]) -> dict[str, str]:
    """The setting of the file with the role's password, if the service has it, with a file of this machine."""
    if "POSTGRES_PASSWORD_FILE" not in given:
        return {}
    (folder / "password").write_text("of-the-role\n")
    return {"POSTGRES_PASSWORD_FILE": str(folder / "password")}


def test_every_variable_is_a_setting_or_a_known_exception(services: dict[str, Any], tmp_path: Path) -> None:
    others = {"APP_PROXY_LINK", "APP_PROXY_PORT", "RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS"}
    for name, each in _ours(services).items():
        given = {key: str(value) for key, value in each["environment"].items()}
        assert set(given) <= SETTINGS | others, name
        settings = load(environ=given | _password_file(tmp_path, given), folder=Path("/nowhere"))
        user, password = USERS.get(name, "postgres"), "of-the-role" if name in USERS else "postgres"
        assert settings.database_url == f"postgres://{user}:{password}@db:5432/app"
        assert settings.drain_delay_s + settings.drain_s + 8 < 45  # stop_grace_period
    assert services["gateway"]["stop_grace_period"] == "45s"


def test_production_rejects_passwords_of_compose_files(services: dict[str, Any]) -> None:
    given = {key: str(value) for key, value in services["migrate"]["environment"].items()} | {"APP_ENV": "production"}
    for name, refused, good in (
        ("POSTGRES_PASSWORD", "POSTGRES_PASSWORD", "of-our-own"),
        ("AMQP_URL", "AMQP_URL", "amqp://chat:of-our-own@rabbitmq:5672/"),
        ("REDIS_URL", "REDIS_URL", "redis://:of-our-own@redis:6379/0"),
        ("KEYS_SECRET", "KEYS_SECRET", "9f3c61d7ab02e84f" * 2),
    ):
        with pytest.raises(SettingsError, match=refused):
            load(environ=given, folder=Path("/nowhere"))
        given[name] = good
    assert load(environ=given, folder=Path("/nowhere")).is_production


def test_only_who_signs_tokens_gets_the_keys_secret(services: dict[str, Any]) -> None:
    given = {name for name, each in services.items() if each.get("environment", {}).get("KEYS_SECRET")}
    assert given == {"auth", "migrate"}  # `docker compose run --rm migrate rotate-key`


def test_only_who_needs_the_owners_password_gets_it(services: dict[str, Any]) -> None:
    given = {name for name, each in services.items() if each.get("environment", {}).get("POSTGRES_PASSWORD")}
    assert given == {"db", "roles", "migrate"}
    folders = {name: dict(_volumes(services[name])) for name in USERS}
    assert {name: [target for source, target in folders[name].items()] for name in USERS} == {
        "gateway": ["/run/database"],
        "auth": ["/run/database"],
    }
    assert not folders["gateway"].keys() & folders["auth"].keys()


def test_roles_url_of_ones_own_needs_no_password_file(services: dict[str, Any]) -> None:
    own = {"DATABASE_URL": "postgres://chat@db.example.com/chat"}
    settings = load(environ=services["gateway"]["environment"] | own, folder=Path("/nowhere"))
    assert settings.database_url == own["DATABASE_URL"]
    command = ["/bin/sh", ROLES]
    subprocess.run(command, env=services["roles"]["environment"] | own, check=True, timeout=60)


async def test_gateway_and_auth_serve_with_roles_of_their_own(
    services: dict[str, Any], tmp_path: Path, redis_url: str
) -> None:
    """The environments of the compose file, with addresses and folders of this machine, and passwords that count."""
    folder = temporary_folder()
    access = folder / "pg_hba.conf"
    access.write_text("host all postgres all trust\nhost all all all scram-sha-256\n")
    access.chmod(0o644)
    folders = {name: tmp_path / name for name in USERS}
    for each in folders.values():
        each.mkdir()
    try:
        with PostgresServer(folder, fsync="off", hba_file=access) as server:
            server.query("postgres", "CREATE DATABASE app")
            here = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(server.port), "REDIS_URL": redis_url}
            here |= {"AMQP_URL": "", "APP_HOST": "127.0.0.1"}
            given = {name: services[name]["environment"] | here for name in ("gateway", "auth", "migrate", "roles")}
            given["roles"] |= {f"{name.upper()}_FOLDER": str(folders[name]) for name in USERS}
            given["roles"]["PATH"] = f"{Path(find_binary('psql', '/usr/lib/postgresql/*/bin')).parent}:/usr/bin:/bin"
            for name in USERS:
                given[name]["POSTGRES_PASSWORD_FILE"] = str(folders[name] / "password")
                for port in ("APP_PORT", "AUTH_PORT", "METRICS_PORT"):
                    del given[name][port]  # the nodes choose free ones
            passwords = [_run_roles(given["roles"], folders) for _ in range(2)]
            assert passwords[0] == passwords[1]
            assert len(set(passwords[0].values())) == 2
            assert all(len(password) == 48 for password in passwords[0].values())
            await migrate(load(environ=given["migrate"], folder=Path("/nowhere")).database_url)
            with (
                AuthNode(tmp_path / "auth-node", **given["auth"]) as auth,
                GatewayNode(tmp_path / "gateway-node", **given["gateway"]) as gateway,
            ):
                ann = {"login": "ann", "password": "correct horse battery"}
                httpx.post(f"{auth.url}/register", json=ann).raise_for_status()
                token = httpx.post(f"{auth.url}/login", json=ann).raise_for_status().json()["access_token"]
                chat = {"kind": "group", "title": "x", "members": []}
                headers = {"Authorization": f"Bearer {token}"}
                httpx.post(f"{gateway.url}/api/v1/chats", json=chat, headers=headers).raise_for_status()
            for name, table in (("gateway", "signing_keys"), ("auth", "chat_log")):
                connection = await asyncpg.connect(load(environ=given[name], folder=Path("/nowhere")).database_url)
                try:
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await connection.fetch(f"SELECT * FROM {table}")
                finally:
                    await connection.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_roles(environ: dict[str, str], folders: dict[str, Path]) -> dict[str, str]:
    """Run the service's script as its container does; returns the passwords in the folders."""
    ended = subprocess.run(["/bin/sh", ROLES], env=environ, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    return {name: (folder / "password").read_text() for name, folder in folders.items()}


@pytest.mark.parametrize("url", ["", "redis://user:of-our-own@redis:6379/0", "redis://redis:6379/0"])
def test_redis_of_compose_demands_its_urls_password(services: dict[str, Any], tmp_path: Path, url: str) -> None:
    url = url or services["redis"]["environment"]["REDIS_URL"]
    command = [word.replace("$$", "$") for word in services["redis"]["command"]]  # as compose un-escapes it
    password = urlsplit(url).password
    assert urlsplit(url).hostname == "redis"
    with _redis_of_compose(tmp_path, command, url) as port:
        with Redis(port=port, password=password, decode_responses=True) as client:
            assert client.config_get("maxmemory-policy", "save") == {"maxmemory-policy": "noeviction", "save": ""}
        with Redis(port=port) as stranger, pytest.raises(AuthenticationError) if password else nullcontext():
            stranger.ping()


@contextmanager
def _redis_of_compose(folder: Path, command: list[str], url: str) -> Iterator[int]:
    """The container's command on this machine, with the image's entrypoint replaced; yields the port."""
    port = free_port()
    entrypoint = folder / "docker-entrypoint.sh"
    entrypoint.write_text(f'#!/bin/sh\nexec "$@" --port {port} --bind 127.0.0.1 --dir {folder}\n')
    entrypoint.chmod(0o755)
    path = f"{folder}:{Path(find_binary('redis-server')).parent}:/usr/bin:/bin"
    server = subprocess.Popen(command, env={"PATH": path, "REDIS_URL": url}, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port, b"PING\r\n", b""), "Redis listens")
        yield port
    finally:
        server.kill()
        server.wait(10)


def test_every_password_in_these_files_is_a_well_known_one(services: dict[str, Any]) -> None:
    given = services["migrate"]["environment"]
    passwords = [given["POSTGRES_PASSWORD"], given["RABBITMQ_DEFAULT_PASS"]]
    passwords += [urlsplit(given[name]).password for name in ("AMQP_URL", "REDIS_URL")]
    assert {weakness(password, 1) for password in passwords} == {"is a placeholder, or one that everybody knows"}


def test_seed_003_environment_works_unchanged(services: dict[str, Any]) -> None:
    """Its own table of defaults, over ours."""
    rows = [line.split("|") for line in seed_text(3).splitlines() if line.startswith("| `")]
    seeds = {row[1].strip(" `"): row[3].strip(" `") for row in rows}
    assert len(seeds) == 15
    defaults = _env_file("deploy/compose.env")
    both = defaults | {name: value for name, value in seeds.items() if value}
    settings = load(environ=both | {"STATIC_PATH": ""}, folder=Path("/nowhere"))  # that folder is in the image alone
    assert settings.database_url == "postgres://postgres:postgres@db:5432/app"
    assert f"ln -s /app/web {seeds['STATIC_PATH']}" in (ROOT / "Dockerfile").read_text()
    assert {name: value for name, value in both.items() if name in defaults and name != "LOG_FORMAT"} == {
        name: value for name, value in defaults.items() if name != "LOG_FORMAT"
    }
    assert seeds["POSTGRES_HOST"] in services
    assert seeds["APP_PROXY_LINK"] in services["gateway"]["networks"]["default"]["aliases"]


def test_our_containers_have_no_privileges(services: dict[str, Any]) -> None:
    for each in [*_ours(services).values(), services["nginx"]]:
        assert each["read_only"] is True
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]


def test_ports_are_published_on_localhost_only(services: dict[str, Any]) -> None:
    ports = {name: each["ports"] for name, each in services.items() if "ports" in each}
    assert set(ports) == {"nginx", "prometheus", "grafana"}
    for port in [port for published in ports.values() for port in published]:
        assert (port["host_ip"] if isinstance(port, dict) else port.split(":")[0]) == "127.0.0.1"


def test_mounted_files_exist(services: dict[str, Any]) -> None:
    for each in services.values():
        for source, _ in _volumes(each):
            assert "/" not in source or Path(source).exists(), source


def test_prometheus_accepts_configuration_and_alerts() -> None:
    command = [find_debian("promtool"), "check", "config", "--lint-fatal", ROOT / "deploy/prometheus/prometheus.yml"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    scrape, _ = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    (discovery,) = scrape["dns_sd_configs"]
    assert str(discovery["port"]) == _env_file("deploy/compose.env")["METRICS_PORT"]


def test_grafana_is_provisioned_with_prometheus_and_dashboards(services: dict[str, Any]) -> None:
    folder = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"].split("//")[1].split(":")[0] in services
    (provider,) = yaml.safe_load((folder / "dashboards/chat-gateway.yml").read_text())["providers"]
    assert provider["options"]["path"] in [target for _, target in _volumes(services["grafana"])]


def _volumes(service: dict[str, Any]) -> list[tuple[str, str]]:
    """Source and target, in the short form of docker-compose 1 or the long one of 2."""
    volumes = service.get("volumes", [])
    return [
        (each["source"], each["target"]) if isinstance(each, dict) else tuple(each.split(":")[:2]) for each in volumes
    ]


def _env_file(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
