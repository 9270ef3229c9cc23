"""The AsyncAPI document is complete, valid by the AsyncAPI schema, and consistent with the code."""

import json
import re
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest
from starlette.routing import Route, WebSocketRoute

from gateway.asyncapi.document import FAMILIES, document
from gateway.protocol.codes import Close, ErrorCode
from gateway.routes import web_socket_routes
from tests.seeds.extract import code_blocks, seed_text
from tests.support.documented import DOCUMENT, Action, channel_of, messages_of, validator

SPECIFICATION = (
    Path(__file__).parents[2] / "asyncapi" / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
)


def examples(channel: str, action: Action) -> list[Any]:
    return [example["payload"] for message in messages_of(channel, action).values() for example in message["examples"]]


def test_document_matches_asyncapi_schema() -> None:
    specification = jsonschema_rs.validator_for(json.loads(SPECIFICATION.read_bytes()))
    for public_url in ("", "https://chat.example.com", "http://chat.example.com:8080/gateway"):
        whole = document(version="1.2.3", public_url=public_url, max_text_length=5)
        assert [error.message for error in specification.iter_errors(whole)] == []
    with pytest.raises(jsonschema_rs.ValidationError):
        specification.validate(DOCUMENT | {"operations": {"a": {"action": "shout"}}})


def test_document_does_not_mention_our_sources() -> None:
    assert re.findall(r"(?i)\bseeds? 0*\d", json.dumps(DOCUMENT)) == []


def test_every_reference_resolves() -> None:
    def follow(part: Any) -> None:
        if isinstance(part, list):
            for item in part:
                follow(item)
        elif isinstance(part, dict):
            for item in part.values():
                follow(item)
            if "$ref" in part:
                found = DOCUMENT
                for word in part["$ref"].removeprefix("#/").split("/"):
                    found = found[word]

    follow(DOCUMENT)


def test_operations_reference_messages_of_their_channel() -> None:
    told: set[tuple[str, str]] = set()
    for operation in DOCUMENT["operations"].values():
        channel = operation["channel"]["$ref"].rpartition("/")[2]
        for message in operation["messages"]:
            _, _, of, _, name = message["$ref"].split("/")
            assert of == channel
            told.add((of, name))
    assert told == {
        (name, message) for name, channel in DOCUMENT["channels"].items() for message in channel["messages"]
    }


def test_channels_are_the_urls_of_sockets_and_streams() -> None:
    unused, stream = cast("Any", None), cast("Any", object())
    routes = web_socket_routes(
        unused,
        chat=unused,
        service=unused,
        support=unused,
        echo=unused,
        room=unused,
        public=unused,
        client=unused,
        stream=stream,
    )
    paths = {
        re.sub(r":\w+}", "}", route.path).rstrip("/")
        for route in routes
        if isinstance(route, WebSocketRoute) or (isinstance(route, Route) and route.endpoint is stream)
    }
    assert len(paths) == len(FAMILIES)
    assert {channel["address"].rstrip("/") for channel in DOCUMENT["channels"].values()} == paths


@pytest.mark.parametrize(
    ("path", "channel"),
    [
        ("/ws/a%20client?token=x", "native"),
        ("/ws/chat/", "native"),
        ("/ws/chat/5/?since=3", "chat"),
        ("/sse/a%20client?chats=5", "sse"),
        ("/ws/service-chats/5", "service"),
        ("/ws/support-chats/5/", "support"),
        ("/updates/a%2Fb", "room"),
        ("/channels/echo?token=tkt_x", "echo"),
        ("/channels/public/", "public"),
        ("/ws/other/5", None),
        ("/", None),
    ],
)
def test_channel_of_finds_the_channel_of_a_url(path: str, channel: str | None) -> None:
    assert channel_of(path) == channel


def test_every_code_is_documented_with_reconnect_advice() -> None:
    told: dict[int, dict[str, Any]] = {}
    for channel in DOCUMENT["channels"].values():
        told |= {close["code"]: close for close in channel["x-close-codes"]}
    assert set(told) == set(Close)
    for code in Close:
        assert f"| {code.value} | {'yes' if code.may_reconnect else 'no'} |" in DOCUMENT["info"]["description"]
        assert told[code]["reconnect"] is code.may_reconnect
    errors = DOCUMENT["components"]["schemas"]["ErrorCode"]
    assert set(errors["enum"]) == set(ErrorCode)
    for error in ErrorCode:
        assert f"- `{error}`: " in errors["description"]


SPOKEN = sorted(set(DOCUMENT["channels"]) - {"echo"})
"""The channels that have a language."""


@pytest.mark.parametrize("action", ["receive", "send"])
@pytest.mark.parametrize("channel", SPOKEN)
def test_every_example_matches_only_its_message(channel: str, action: Action) -> None:
    messages = messages_of(channel, action)
    validators = {name: validator([message["payload"]]) for name, message in messages.items()}
    for name, message in messages.items():
        assert message["examples"], name
        for example in message["examples"]:
            assert [own for own in validators if validators[own].is_valid(example["payload"])] == [name]


ANY_JSON = {"DirectPush": "data", "MessagePush": "data.data", "NativeMessagePush": "data.data"}
ANY_JSON |= {"ChatChangedPush": "data", "NativeChatChangedPush": "data"}
MAY_LACK = {
    "ErrorAnswer.retry_after_s",
    "HelloAnswer.id",
    "HelloAnswer.max_text_length",
    "HelloAnswer.node",
    "HistoryAck.result.messages.sender.display_name",
    "NativeErrorAnswer.chat_id",
    "NativeErrorAnswer.id",
    "MessagePush.data.by",
    "MessagePush.data.kind",
    "NativeErrorAnswer.retry_after_s",
    "NativeHistoryAnswer.messages.sender.display_name",
    "NativeMessageAgain.data.sender.display_name",
    "NativeMessagePush.data.sender.display_name",
    "NativeMessagePush.data.by",
    "NativeMessagePush.data.kind",
    *(f"{push}.data.{key}" for push in ("MessagePush", "NativeMessagePush") for key in ("reply_to", "mentions")),
    "NativeMessagePush.data.reply_to.sender.display_name",
    "NativePongAnswer.id",
    "NativePresenceAnswer.members.display_name",
    "NativeRefreshedAnswer.id",
    "NativeReactionAgain.client_msg_id",
    "NativeReactionAgain.seq",
    "ReactionAgain.client_msg_id",
    "ReactionAgain.seq",
    "PresenceAck.result.members.display_name",
    "ServiceAck.duplicate",
    "ServiceMessagePush.kind",
    "ServiceReactionAck.client_msg_id",
    "StoredAck.duplicate",
    "SubscribedAck.id",
}


@pytest.mark.parametrize("channel", SPOKEN)
def test_changed_example_does_not_match_its_message(channel: str) -> None:
    for name, message in messages_of(channel, "send").items():
        own = validator([message["payload"]])
        for example in (shown["payload"] for shown in message["examples"]):
            for place, parent, key in _leaves(example):
                if place.startswith((ANY_JSON.get(name, "none"), "counts.")):
                    continue
                kept = parent.pop(key)
                assert own.is_valid(example) == (f"{name}.{place}" in MAY_LACK), (name, place)
                for wrong in ({"an": "object"}, [["a list"]], 5 if isinstance(kept, bool) else True):
                    parent[key] = wrong
                    assert not own.is_valid(example), (name, place, wrong)
                parent[key] = kept
                parent["a key too many"] = 1
                assert not own.is_valid(example), (name, place)
                del parent["a key too many"]
                assert own.is_valid(example)


def _leaves(value: Any, place: str = "") -> list[tuple[str, dict[str, Any], str]]:
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item, place)]
    if not isinstance(value, dict):
        return []
    own = [(f"{place}.{key}".removeprefix("."), value, key) for key in value]
    return own + [leaf for key, item in value.items() for leaf in _leaves(item, f"{place}.{key}")]


@pytest.mark.parametrize(
    ("number", "channel", "indent", "count"),
    [(0, "native", None, 1), (1, "service", 2, 2), (1, "support", 2, 2), (4, "chat", 4, 11)],
)
def test_seed_json_is_among_the_examples(number: int, channel: str, indent: int | None, count: int) -> None:
    """To the byte, but for the keys that were added behind the seed's own."""
    seed = seed_text(number)
    documented = [block.code.strip() for block in code_blocks(seed) if block.language == "json"]
    if indent is None:
        assert 'JSON.stringify({type: "hello", message: "Привет, сервер!"})' in seed
        documented = ['{"type": "hello", "message": "Привет, сервер!"}']
    assert len(documented) == count
    shown = examples(channel, "receive") + examples(channel, "send")
    for text in documented:
        wanted = json.loads(text)
        assert json.dumps(wanted, ensure_ascii=False, indent=indent) == _flush(text)
        if wanted.get("message") == "Описание ошибки":  # "a description of the error": a place for any of them
            wanted["message"] = "Invalid JSON format"
        assert any(_begins_with(example, wanted) for example in shown), text


def _flush(text: str) -> str:
    """Without the indentation of a block within a list."""
    lines = text.splitlines()
    margin = len(lines[-1]) - len(lines[-1].lstrip())
    return "\n".join([lines[0], *(line[margin:] for line in lines[1:])])


def _begins_with(value: Any, wanted: Any) -> bool:
    """Whether an object has these keys first, in this order, with these values."""
    if not (isinstance(wanted, dict) and isinstance(value, dict)):
        return bool(value == wanted)
    return list(value)[: len(wanted)] == list(wanted) and all(_begins_with(value[key], wanted[key]) for key in wanted)
