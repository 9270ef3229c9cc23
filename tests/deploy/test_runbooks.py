"""The commands of the runbooks work, and the logs, panels and metrics that they name exist."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import command_line
from tests.deploy.programs import ROOT
from tests.deploy.promtool import promtool
from tests.support.migrated import make_store
from tests.support.servers import PostgresServer, RedisServer, find_binary
from tests.support.used_metrics import used

PAGES = [*sorted((ROOT / "docs/runbooks").glob("*.md")), ROOT / "docs/operations.md", ROOT / "docs/metrics.md"]
ROLES_OF_REDIS = ("redis-cli ", "SLOWLOG ", "INFO ", "ROLE")
OURS = re.compile(r"\bchat_gateway_[a-z_]+")
EVENT = re.compile(r"^[a-z]+(_[a-z]+)+$|^refused$|^disconnected$")


def _spans() -> Iterator[str]:
    """Everything between backticks, in a line."""
    for page in PAGES:
        yield from re.findall(r"`([^`\n]+)`", page.read_text())


def _starting(*beginnings: str) -> list[str]:
    return sorted({span for span in _spans() if span.startswith(beginnings)})


async def test_postgresql_accepts_every_statement(postgres_url: str, postgres_server: PostgresServer) -> None:
    await make_store(postgres_url)
    statements = _starting("SELECT ", "DELETE ", "ANALYZE")
    assert len(statements) >= 4
    for statement in statements:
        postgres_server.query(postgres_url.rpartition("/")[2], statement.replace("…", "1"))


def test_redis_accepts_every_command(redis_server: RedisServer) -> None:
    commands = _starting(*ROLES_OF_REDIS)
    assert len(commands) >= 5
    for command in commands:
        words = shlex.split(command.removeprefix("redis-cli "))
        ended = subprocess.run(
            [find_binary("redis-cli"), "-e", "-p", str(redis_server.port), *words],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ended.returncode == 0, command + ended.stdout + ended.stderr


def test_prometheus_parses_every_query_and_knows_every_metric(tmp_path: Path) -> None:
    asked = sorted({span for span in _spans() if OURS.search(span) or span.startswith("up ")})
    queries = [span for span in asked if set(span) & set("({=")]
    assert len(queries) >= 5
    rules = [{"record": f"x:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "asked.yml").write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    promtool("check", "rules", "asked.yml", folder=tmp_path)
    known = {sample.name for family in used().registry.collect() for sample in family.samples}
    known |= {family.name for family in used().registry.collect()}
    names = {name for span in asked for name in OURS.findall(span)} - {
        "chat_gateway_",
        "chat_gateway_runbooks",
    }  # the second is an external label
    assert names <= known, names - known


def test_cli_has_every_cited_subcommand() -> None:
    for line in _starting("chat-gateway "):
        assert callable(command_line().parse_args(shlex.split(line)[1:]).command), line


def test_logs_have_every_cited_event() -> None:
    sources = "".join(path.read_text() for folder in ("gateway", "auth", "storage") for path in _modules(folder))
    for page in PAGES:
        for line in re.findall(r"^- Logs: (.*(?:\n  .*)*)", page.read_text(), re.M):
            for event in filter(EVENT.match, re.findall(r"`([^`]+)`", line)):
                assert f'"{event}"' in sources, f"{page.stem}: {event}"
            for words in re.findall(r"`(\w[^`]* … [^`]*)`", line):
                assert words.replace("…", "%d") in sources, f"{page.stem}: {words}"


def _modules(folder: str) -> Iterator[Path]:
    return (ROOT / folder).rglob("*.py")


def test_dashboard_has_every_cited_panel() -> None:
    panels = json.loads((ROOT / "deploy/grafana/dashboards/chat-gateway.json").read_text())["panels"]
    titles = {panel["title"] for panel in panels} | {"Losing Redis", "Chat gateway"}
    for page in PAGES:
        named = set(re.findall(r"(?<![*\w])\*([A-Z][^*\n]+)\*(?!\*)", page.read_text()))
        assert named <= titles, f"{page.stem}: {named - titles}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_target_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
