"""The dashboard uses valid expressions over existing metrics."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.programs import ROOT
from tests.deploy.promtool import RULES, PromtoolRefused, promtool
from tests.support.used_metrics import used

DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/chat-gateway.json").read_text())
QUESTIONS = [
    "Are messages getting through?",
    "How fast?",
    "Who is suffering?",
    "What runs out next?",
]
OURS = re.compile(r"\b(?:chat_gateway|process)_[a-z_]+(?::[a-z_]+:[a-z0-9_]+)?")


def _graphs() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def _expressions() -> list[str]:
    return [target["expr"] for panel in _graphs() for target in panel["targets"]]


def _known() -> set[str]:
    """Every name that a query may use: what nodes and auth expose, and what rules record."""
    exposed = {sample.name for family in used().registry.collect() for sample in family.samples}
    recorded = {
        rule["record"]
        for group in yaml.safe_load((RULES / "slos.yml").read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    return exposed | recorded


def _parse(expressions: list[str], folder: Path) -> None:
    rules = [
        {"record": f"x:panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", expr).replace("$", "")}
        for number, expr in enumerate(expressions)
    ]
    (folder / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", "panels.yml", folder=folder)


def test_every_expression_parses(tmp_path: Path) -> None:
    assert len(_expressions()) > 50
    _parse(_expressions(), tmp_path)
    with pytest.raises(PromtoolRefused):
        _parse([*_expressions(), "sum(rate(chat_gateway_closes_total[$__rate_interval])"], tmp_path)


@pytest.mark.parametrize("source", ["dashboard", "slos.yml", "alerts.yml"])
def test_every_queried_metric_exists(source: str) -> None:
    if source == "dashboard":
        expressions = _expressions()
    else:
        groups = yaml.safe_load((RULES / source).read_text())["groups"]
        expressions = [rule["expr"] for group in groups for rule in group["rules"]]
    asked = {name for expr in expressions for name in OURS.findall(expr)}
    assert asked
    assert asked <= _known(), asked - _known()


def test_every_metric_is_on_the_dashboard() -> None:
    """What is worth counting is worth a look; `process_…` has more than we want to see."""
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for expr in _expressions() for name in OURS.findall(expr)}
    counted = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for name in _known()
        if name.startswith("chat_gateway_") and ":" not in name
    }
    assert counted - shown == set()


def test_rows_are_the_questions_and_panels_do_not_overlap() -> None:
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == QUESTIONS
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        squares = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not squares & taken, panel["title"]
        assert max(x for x, _ in squares) < 24
        taken |= squares
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_panels_use_selected_source_and_nodes() -> None:
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["source", "job", "instance"]
    for panel in _graphs():
        assert panel["datasource"]["uid"] == "${source}"
        assert panel["fieldConfig"]["defaults"]["unit"]
