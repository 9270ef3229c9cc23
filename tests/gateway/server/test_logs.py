"""Logs: one line per record whatever its content, and never a credential."""

import io
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from auth.tokens.access_tokens import Issuer, TokenNames
from gateway.config.choices import LogFormat
from gateway.protocol.codes import Close
from gateway.server.logs import redacted, set_up
from tests.auth.forgery import new_key
from tests.support.machine_speed import slowness

TOKEN = Issuer(TokenNames(), 600).issue(new_key(), 7, "ann")
Read = Callable[[], list[str]]
SetUp = Callable[..., Read]


@pytest.fixture
def lines_of() -> Iterator[SetUp]:
    """Sets up the process's logs in a form; what that gives reads the lines that were logged."""
    loggers = [logging.getLogger(name) for name in (None, "gateway", "auth", "storage")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]

    def start(log_format: LogFormat, *, debug: bool = False) -> Read:
        stream = io.StringIO()
        set_up(log_format, debug=debug, node="n1", stream=stream)
        return lambda: stream.getvalue().split("\n")[:-1]

    yield start
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def log(event: str, name: str = "gateway.test", **fields: object) -> None:
    logging.getLogger(name).info(event, extra={"fields": fields})


def log_failure(text: str) -> None:
    try:
        raise RuntimeError(text)
    except RuntimeError:
        logging.getLogger("gateway.test").exception("failed")


def test_record_is_one_json_object(lines_of: SetUp) -> None:
    lines = lines_of(LogFormat.JSON)
    log("connected", chat_id=1, user_id=7)
    (line,) = map(json.loads, lines())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "connected",
        "logger": "gateway.test",
        "node": "n1",
        "chat_id": 1,
        "user_id": 7,
    }


def test_failure_is_logged_with_traceback(lines_of: SetUp) -> None:
    lines = lines_of(LogFormat.JSON)
    log_failure("what happened")
    (line,) = map(json.loads, lines())
    assert (line["level"], line["event"]) == ("error", "failed")
    assert "Traceback" in line["error"] and "RuntimeError: what happened" in line["error"]


INJECTIONS = [
    "a\nINFO forged",
    "a\r\nforged",
    "a\x00b",
    "\x1b[2J\x1b[1;31mred",
    "\x9b2J",
    "\x7f\x08\x08",
    "a\u2028b\u2029c\x85d\x0be",
    "\u202egnp.exe",
    "\ud800",
    '"} {"event": "forged"}',
    "%s %d %(name)s {}",
]


@pytest.mark.parametrize("text", INJECTIONS, ids=ascii)
def test_json_log_escapes_line_breaks_and_control_characters(lines_of: SetUp, text: str) -> None:
    lines = lines_of(LogFormat.JSON)
    log("refused", reason=text)
    log(text)
    log_failure(text)
    assert len(lines()) == 3
    assert all(line.isascii() and line.isprintable() for line in lines())
    refused, itself, failed = map(json.loads, lines())
    assert refused["reason"] == itself["event"] == text
    assert text in failed["error"]


@pytest.mark.parametrize("text", INJECTIONS, ids=ascii)
def test_text_log_escapes_line_breaks_and_control_characters(lines_of: SetUp, text: str) -> None:
    lines = lines_of(LogFormat.TEXT)
    log("refused", reason=text)
    log(text)
    log_failure(text)
    assert all(line.isprintable() for line in lines())
    records = [line for line in lines() if not line.startswith("    ")]
    assert [line.split()[1:3] for line in records] == [["n1", "info"], ["n1", "info"], ["n1", "error"]]


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"Bearer {TOKEN}",
        f"Authorization: Bearer {TOKEN}",
        f"bearer, {TOKEN}",
        f"GET /ws/chat/1/?token={TOKEN}&since=3",
        f"GET /?a=1&token={TOKEN} HTTP/1.1",
        f"access_token={TOKEN}; Path=/",
        f"{{'token': '{TOKEN}'}}",
        f'["{TOKEN}"]',
        f"<{TOKEN}>",
        f"a\n{TOKEN}\tb",
        f"\x00{TOKEN}",
    ],
    ids=lambda text: text.replace(TOKEN, "JWT")[:40],
)
@pytest.mark.parametrize("log_format", LogFormat)
def test_tokens_are_redacted(lines_of: SetUp, log_format: LogFormat, text: str) -> None:
    lines = lines_of(log_format)
    log("refused", reason=text, nested={"deep": [text]})
    log(text)
    log_failure(text)
    said = "\n".join(lines()).lower()
    assert "[redacted]" in said
    assert not [part for part in TOKEN.lower().split(".") if part in said]
    if log_format is LogFormat.JSON:
        assert [json.loads(line)["node"] for line in lines()] == ["n1"] * 3


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Bearer abcdefgh.ijkl", "Bearer [redacted]"),
        ("wss://a/b tkt_AbC-0123_456789xyz", "wss://a/b [redacted]"),
        (f"used rt_{'0a' * 16}_{'A-_z' * 10}abc again", "used [redacted] again"),
        ("?ticket=abc123&x=1", "?ticket=[redacted]&x=1"),
        ("refresh_token=abc", "refresh_token=[redacted]"),
        ("password=hunter2 next", "password=[redacted] next"),
        ("PassWord=hunter2", "PassWord=[redacted]"),
        ("paſſword=hunter2", "paſſword=[redacted]"),
        ("client_secret=abc", "client_secret=[redacted]"),
        ('{"password": "hunter2"}', '{"password": "[redacted]"}'),
        ("{'refresh_token': 'abc'}", "{'refresh_token': '[redacted]'}"),
        ('"{\\"token\\":\\"abc\\"}"', '"{\\"token\\":\\"[redacted]\\"}"'),
        ('{"x-service-key": "abc"}', '{"x-service-key": "[redacted]"}'),
        ("postgres://chat:hunter2@db:5432/chat", "postgres://[redacted]@db:5432/chat"),
        ("redis://:hunter2@redis:6379/0 is away", "redis://[redacted]@redis:6379/0 is away"),
    ],
)
def test_other_credentials_are_redacted_and_the_rest_kept(text: str, left: str) -> None:
    assert redacted(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "connected chat_id=1 user_id=7 seq=12",
        "the token has expired",
        "the token: expired",
        '{"token": 3}',
        "a bearer of bad news",
        "https://chat.example/@ann",
        "eyJust a word",
        "mail ann@example.com",
    ],
)
def test_text_without_credentials_is_kept(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("text", ["eyJ" * 50_000, "token" * 50_000, "bearer " * 50_000, "://" * 50_000], ids=len)
def test_redaction_of_hostile_text_takes_bounded_time(text: str) -> None:
    started = time.perf_counter()
    redacted(text)
    assert time.perf_counter() - started < 0.5 * slowness()


@pytest.mark.parametrize(
    ("value", "logged"),
    [(2**200, 2**200), (b"\x00\xff", "b'\\x00\\xff'"), (ValueError("x"), "x"), (None, None), ({1: "a"}, {"1": "a"})],
    ids=repr,
)
def test_any_value_can_be_logged(lines_of: SetUp, value: object, logged: Any) -> None:
    lines = lines_of(LogFormat.JSON)
    log("event", value=value, weight=1.5)
    (line,) = map(json.loads, lines())
    assert (line["value"], line["weight"]) == (logged, 1.5)


class Mute:
    """What cannot be put into words."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("log_format", LogFormat)
def test_value_that_cannot_be_formatted_keeps_its_record(lines_of: SetUp, log_format: LogFormat) -> None:
    lines = lines_of(log_format)
    log("event", value=Mute(), chat_id=1)
    (line,) = lines()
    assert "<Mute: RuntimeError>" in line and "chat_id" in line


def test_fields_cannot_override_standard_keys(lines_of: SetUp) -> None:
    lines = lines_of(LogFormat.JSON)
    fields = {"event": "connected", "level": "debug", "node": "n9", "logger": "x", "time": "z"}
    logging.getLogger("gateway.test").info("refused", extra={"fields": fields})
    (line,) = map(json.loads, lines())
    assert (line["event"], line["level"], line["node"], line["logger"]) == ("refused", "info", "n1", "gateway.test")
    assert list(line)[:2] == ["time", "level"] and line["time"] != "z"


def test_nan_is_still_logged(lines_of: SetUp) -> None:
    lines = lines_of(LogFormat.JSON)
    log("event", value=math.nan)
    assert len(lines()) == 1


def test_text_format_is_one_readable_line(lines_of: SetUp) -> None:
    lines = lines_of(LogFormat.TEXT)
    log("connected", chat_id=1, user_id=7)
    (line,) = lines()
    assert line.split()[1:] == ["n1", "info", "connected", "chat_id=1", "user_id=7"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"user_id": 1, "why": {"a": "b"}}, "value.user_id=1 value.why={a=b}"),
        ([{"chat_id": 1, "id": 2}, {"chat_id": 1, "name": "a b"}], 'value=[{chat_id=1,id=2},{chat_id=1,name="a b"}]'),
        (Close.REPLACED, f"value={Close.REPLACED.value}"),
        ({"code": Close.REPLACED}, f"value.code={Close.REPLACED.value}"),
        ([1, "a b", None], 'value=[1,"a b",null]'),
        (("a",), "value=[a]"),
        (None, "value=null"),
        (True, "value=true"),
        (b"a\xff", "value=a\\xff"),
        ("", 'value=""'),
        ("replica 1", 'value="replica 1"'),
        ('say "hi"', 'value="say \\"hi\\""'),
        ("a=b", 'value="a=b"'),
        ("/ws/chat/1/", "value=/ws/chat/1/"),
    ],
    ids=repr,
)
def test_text_format_has_no_python_notation(lines_of: SetUp, value: object, shown: str) -> None:
    lines = lines_of(LogFormat.TEXT)
    log("event", value=value)
    (line,) = lines()
    assert line.split(maxsplit=4)[4] == shown


@pytest.mark.parametrize("name", ["token", "password", "ticket"])
def test_quoted_field_is_redacted(lines_of: SetUp, name: str) -> None:
    lines = lines_of(LogFormat.TEXT)
    log("event", **{name: "hunter2=hunter2"})
    assert "hunter2=" not in lines()[0]


def test_libraries_log_only_warnings_even_with_debug(lines_of: SetUp) -> None:
    lines = lines_of(LogFormat.TEXT, debug=True)
    for name in ("tortoise.db_client", "aiosqlite", "uvicorn.access", "uvicorn.error", "websockets.server", "asyncio"):
        logging.getLogger(name).info("INSERT INTO users VALUES ('hunter2')")
        logging.getLogger(name).debug("> TEXT 'hunter2'")
    logging.getLogger("uvicorn.error").warning("a warning")
    logging.getLogger("gateway.test").debug("ours")
    assert [line.split(maxsplit=3)[3] for line in lines()] == ["a warning", "ours"]


def test_debug_lines_need_the_debug_setting(lines_of: SetUp) -> None:
    lines = lines_of(LogFormat.TEXT)
    logging.getLogger("gateway.test").debug("ours")
    logging.getLogger("gateway.test").info("news")
    assert len(lines()) == 1
