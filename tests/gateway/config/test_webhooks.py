"""The endpoints of WEBHOOKS."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.config.sources import load
from gateway.config.webhooks import Webhook, read_webhooks
from gateway.errors import SettingsError
from storage.outbox_records import PRESENCE_TYPES, EventType

HOOK = {"url": "https://app.example/events", "secret": "0f3a9c5d7e1b2846af93cd10"}


def _read(*hooks: Any, env: str = "development", **environ: str) -> tuple[Webhook, ...]:
    environ = {"APP_ENV": env, **environ}
    if hooks:
        environ["WEBHOOKS"] = json.dumps(hooks)
    return read_webhooks(load(environ=environ, folder=Path("/nowhere")))


def _problem(*hooks: Any, **environ: str) -> str:
    with pytest.raises(SettingsError) as failure:
        _read(*hooks, **environ)
    assert "0f3a9c5d" not in str(failure.value)
    return str(failure.value)


def test_no_list_means_no_endpoints() -> None:
    assert _read() == ()


def test_endpoint_gets_all_types_and_a_stable_name() -> None:
    (hook,) = _read(HOOK)
    assert (set(hook.events), hook.give_up_h) == (set(EventType) - PRESENCE_TYPES, None)
    assert hook.name == _read(HOOK)[0].name != ""
    assert "0f3a9c5d" not in repr(hook)


def test_fields_are_read() -> None:
    (hook,) = _read({**HOOK, "name": "app", "events": ["message.created"], "give_up_h": 0.5})
    assert (hook.name, hook.events, hook.give_up_h) == ("app", [EventType.MESSAGE_CREATED], 0.5)


def test_list_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "hooks.json"
    path.write_text(json.dumps([HOOK]))
    assert len(_read(WEBHOOKS_FILE=str(path))) == 1
    assert "exclude each other" in _problem(HOOK, WEBHOOKS_FILE=str(path))
    assert "cannot be read" in _problem(WEBHOOKS_FILE=str(tmp_path / "none"))
    path.write_text("{}")
    assert "must be a JSON list" in _problem(WEBHOOKS_FILE=str(path))


@pytest.mark.parametrize(
    "hook",
    [
        {},
        {"url": HOOK["url"]},
        {**HOOK, "secret": ""},
        {**HOOK, "url": "ftp://app.example/"},
        {**HOOK, "url": "https://"},
        {**HOOK, "url": "https://app.example:99999/"},
        {**HOOK, "url": "https://app.example/ x"},
        {**HOOK, "name": "a b"},
        {**HOOK, "name": "exchange"},
        {**HOOK, "events": ["message.read"]},
        {**HOOK, "give_up_h": 0},
        {**HOOK, "more": 1},
    ],
)
def test_invalid_endpoint_is_rejected(hook: dict[str, Any]) -> None:
    assert "must be a JSON list" in _problem(hook)


def test_names_must_differ_and_endpoints_are_few() -> None:
    assert "must be a JSON list" in _problem(HOOK, HOOK)
    assert "must be a JSON list" in _problem(*({**HOOK, "name": f"n{number}"} for number in range(17)))


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"url": "http://app.example/"}, "must begin with https://"), ({"secret": "short"}, "fewer than 20 characters")],
)
def test_unsafe_webhook_is_rejected_only_in_production(change: dict[str, str], problem: str) -> None:
    assert problem in _problem({**HOOK, **change}, env="production")
    assert len(_read({**HOOK, **change})) == 1
    assert len(_read({**HOOK, "url": "http://127.0.0.1:8/"}, env="production")) == 1
