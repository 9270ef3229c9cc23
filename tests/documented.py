"""Whether what goes over a socket is in the AsyncAPI document, down to the last key."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import jsonschema_rs
import orjson

from gateway.asyncapi.document import document
from gateway.settings import Settings

Action = Literal["receive", "send"]
"""As the gateway sees it, which is how the document is written."""

DOCUMENT = document(version="0", public_url="", max_text_length=Settings().max_text_length)


def channel_of(path: str) -> str | None:
    """The name of the channel that a URL's path (percent-encoded, perhaps with a query) belongs to, if any."""
    bare = path.partition("?")[0].rstrip("/")
    fits = [name for name, channel in DOCUMENT["channels"].items() if _pattern(channel["address"]).fullmatch(bare)]
    return fits[0] if fits else None


@cache
def _pattern(address: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{\w+}", "[^/]+", address.rstrip("/")))


def messages_of(channel: str, action: Action) -> dict[str, Any]:
    """The messages that go in one direction, by name."""
    operations = [
        operation
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == action and operation["channel"]["$ref"] == f"#/channels/{channel}"
    ]
    names = [message["$ref"].rpartition("/")[2] for operation in operations for message in operation["messages"]]
    return {name: DOCUMENT["components"]["messages"][name] for name in names}


def is_documented(channel: str, action: Action, value: object, *, with_more_keys: bool = False) -> bool:
    """Whether a value (of JSON, or the text of a message that is none) is one of the channel's messages."""
    return _validator(channel, action, with_more_keys).is_valid(value)


def is_told(channel: str, payload: str | bytes) -> bool:
    """Whether a client of the channel may get this."""
    if channel == "echo":
        return True
    try:
        return isinstance(payload, str) and is_documented(channel, "send", orjson.loads(payload))
    except orjson.JSONDecodeError:
        return False


def closes_of(channel: str) -> set[int]:
    """The codes of ours that a socket of the channel may end with."""
    return {close["code"] for close in DOCUMENT["channels"][channel]["x-close-codes"]}


@cache
def _validator(channel: str, action: Action, with_more_keys: bool) -> jsonschema_rs.Validator:
    payloads = [message["payload"] for message in messages_of(channel, action).values()]
    return validator(payloads, with_more_keys=with_more_keys)


def validator(payloads: list[Mapping[str, Any]], *, with_more_keys: bool = False) -> jsonschema_rs.Validator:
    """Takes what is of one of these schemas; what has keys that its schema lacks, only `with_more_keys`."""
    schemas = DOCUMENT["components"]["schemas"]
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "anyOf": [*payloads, False],  # a channel may have none
        "components": {"schemas": schemas if with_more_keys else _closed(schemas)},
    }
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def _closed(schema: Any) -> Any:
    """The schema without the document's leave to add keys."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    return closed | {"additionalProperties": False} if schema.get("type") == "object" else closed
