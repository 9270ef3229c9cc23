"""docs/protocol.md: its examples run, and it has every type, code and HTTP call."""

from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import pytest

from gateway.config.settings import Settings
from gateway.delivery.history import PAGE_BYTES
from gateway.http.parameters import MAX_LENGTH
from gateway.interfaces.rooms import MAX_ROOM_NAME
from gateway.node.node import LARGE_CHAT
from gateway.protocol.codes import Close, ErrorCode
from gateway.protocol.commands import MAX_HISTORY
from gateway.protocol.validation import MAX_CLIENT_MSG_ID
from gateway.server.serve import MAX_FRAME_BYTES
from gateway.sessions.native import MAX_SUBSCRIPTIONS
from gateway.sessions.send_queue import DEFAULT_LIMIT
from gateway.sessions.session import MAX_REFUSALS, MAX_WAITING, REFUSAL_WINDOW_S
from gateway.sessions.typing_throttle import TYPING_INTERVAL_S
from gateway.transport import incoming
from gateway.transport.fragments import MAX_FRAGMENTS
from httpapi.bounded_json import MAX_DEPTH
from tests.e2e.protocol_page import Example, Script, examples, payloads, table
from tests.e2e.system import run_system
from tests.support.documented import DOCUMENT, channel_of, is_documented, messages_of

PAGE: Final = (Path(__file__).parents[2] / "docs/protocol.md").read_text(encoding="utf-8")
EXAMPLES: Final = examples(PAGE)
SCRIPTS: Final = [example for example in EXAMPLES if example.kind == "text"]
OBJECTS: Final = [orjson.loads(example.lines[0]) for example in EXAMPLES if example.kind == "json"]
"""Frames that the page shows without a way to them."""
SERVICE_KEY: Final = "a service key of this test"
ALIKE: Final = {
    "chat": {"chat"},
    "native": {"native", "chat"},
    "public": {"public", "chat"},
    "room": {"room", "chat"},
    "service": {"service", "support"},
    "support": {"service", "support"},
}
"""Channels by those whose examples are theirs too."""
SHOWN: Final = [
    *(
        (channel_of(path), direction, value["type"])
        for each in SCRIPTS
        for path, direction, value in payloads(each)
        if "type" in value
    ),
    *(("chat", "<", value["type"]) for value in OBJECTS),
    *(("service", "<", value["type"]) for value in OBJECTS if value["type"] == "token_expiring"),  # alike everywhere
]


async def test_examples_run_on_two_nodes(tmp_path: Path) -> None:
    environ = {"SERVICE_KEYS": SERVICE_KEY, "MESSAGES_PER_MINUTE": "0"}
    faults: list[str] = []
    with run_system(tmp_path, environ) as system:
        async with httpx.AsyncClient(base_url=system.url, trust_env=False) as http:
            for number, example in enumerate(SCRIPTS):
                fault = await fault_of(example, http, has_users=number > 0)
                faults += [fault] if fault else []
    assert "\n".join(faults) == ""


async def fault_of(example: Example, http: httpx.AsyncClient, *, has_users: bool) -> str | None:
    """What does not hold, with its line of the page."""
    async with Script(http, SERVICE_KEY) as script:
        if has_users:
            await script.prepare()
        for number, line in enumerate(example.lines, example.line):
            try:
                await script.run(line)
            except Exception as error:  # every example is run, whatever another one does
                return f"line {number}: {line}: {error!r}"
    return None


def types_of(channel: str, action: Any) -> set[str]:
    """The `type` of every message that goes in one direction."""
    names = messages_of(channel, action)
    schemas = [DOCUMENT["components"]["schemas"][name] for name in names if name in DOCUMENT["components"]["schemas"]]
    kinds = [schema["properties"]["type"] for schema in schemas if "type" in schema.get("properties", {})]
    return {value for kind in kinds for value in kind.get("enum", [kind.get("const")])}


@pytest.mark.parametrize("channel", sorted(ALIKE))
def test_every_command_and_push_is_in_an_example(channel: str) -> None:
    sent, received = types_of(channel, "receive"), types_of(channel, "send")
    assert received
    shown = {(way, kind) for name, way, kind in SHOWN if name in ALIKE[channel]}
    assert {(">", kind) for kind in sent} | {("<", kind) for kind in received} <= shown


def test_frames_without_a_script_are_documented() -> None:
    assert OBJECTS
    assert [value for value in OBJECTS if not is_documented("chat", "send", value)] == []


def test_every_error_code_is_on_the_page() -> None:
    assert set(table(PAGE, "Errors")) >= set(ErrorCode)


def test_every_close_code_says_whether_to_reconnect() -> None:
    rows = table(PAGE, "Close codes")
    shown = {code: rows[code][0] for code in rows if code.startswith("4")}
    assert shown == {str(code.value): "yes" if code.may_reconnect else "no" for code in Close}


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ("stored messages of a user, over all chats and nodes", f"{Settings().messages_per_minute} in any 60 s"),
        ("text", f"{Settings().max_text_length:,} code points"),
        ("frame", f"{MAX_FRAME_BYTES // 1024} KiB, {MAX_FRAGMENTS:,} fragments"),
        ("JSON", f"{MAX_DEPTH} levels"),
        ("frames of a socket", f"{incoming.BURST:,} at once, then {incoming.PER_SECOND} a second"),
        ("rejected commands of a socket", f"{MAX_REFUSALS} in {REFUSAL_WINDOW_S:.0f} s"),
        ("waiting commands of a socket", f"{MAX_WAITING}"),
        ("unread bytes of a slow reader", f"{DEFAULT_LIMIT // 2**20} MiB"),
        ("subscriptions of a socket", f"{MAX_SUBSCRIPTIONS:,}"),
        ("client_msg_id", f"1 to {MAX_CLIENT_MSG_ID} characters"),
        ("client_id", f"1 to {MAX_LENGTH} characters"),
        ("name of a room", f"1 to {MAX_ROOM_NAME} characters"),
        ("history", f"{MAX_HISTORY} messages or {PAGE_BYTES // 1024} KiB per page"),
        ("typing", f"sent to others at most every {TYPING_INTERVAL_S:.0f} s"),
        ("presence`, `typing` and others' `messages_read` in a chat", f"{LARGE_CHAT} users"),
        ("silence", f"a ping every {Settings().ping_interval_s:.0f} s"),
    ],
)
def test_documented_limit_equals_the_limit_in_code(row: str, limit: str) -> None:
    assert table(PAGE, "Limits")[row][0].startswith(limit)


async def test_every_http_call_is_on_the_page(system: Any) -> None:
    async with httpx.AsyncClient(base_url=system.url, trust_env=False) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
    calls = {f"`{method.upper()} {path}`" for path, methods in paths.items() for method in methods if method != "head"}
    assert len(calls) > 20
    assert {call for call in calls if call not in PAGE.partition("\n## HTTP\n")[2]} == set()
