"""Checks the frames of a socket against the AsyncAPI document, including every key."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import jsonschema_rs
import orjson

from gateway.asyncapi.document import document
from gateway.config.settings import Settings

Action = Literal["receive", "send"]
"""The direction from the view of the gateway, as in the document."""

DOCUMENT = document(version="0", public_url="", max_text_length=Settings().max_text_length)


def channel_of(path: str) -> str | None:
    """The name of the channel of a URL's path (percent-encoded, possibly with a query), if any."""
    bare = path.partition("?")[0].rstrip("/")
    fits = [name for name, channel in DOCUMENT["channels"].items() if _pattern(channel["address"]).fullmatch(bare)]
    return fits[0] if fits else None


@cache
def _pattern(address: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{\w+}", "[^/]+", address.rstrip("/")))


def messages_of(channel: str, action: Action) -> dict[str, Any]:
    """The messages of one direction, by name."""
    operations = [
        operation
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == action and operation["channel"]["$ref"] == f"#/channels/{channel}"
    ]
    names = [message["$ref"].rpartition("/")[2] for operation in operations for message in operation["messages"]]
    return {name: DOCUMENT["components"]["messages"][name] for name in names}


def is_documented(channel: str, action: Action, value: object, *, with_more_keys: bool = False) -> bool:
    """Whether a value (JSON, or the text of a message without JSON) is one of the channel's messages."""
    return _validator(channel, action, with_more_keys).is_valid(value)


def is_told(channel: str, payload: str | bytes) -> bool:
    """Whether the document lets a client of the channel receive this."""
    if channel == "echo":
        return True
    try:
        return isinstance(payload, str) and is_documented(channel, "send", orjson.loads(payload))
    except orjson.JSONDecodeError:
        return False


def closes_of(channel: str) -> set[int]:
    """Our close codes that a socket of the channel may get."""
    return {close["code"] for close in DOCUMENT["channels"][channel]["x-close-codes"]}


@cache
def _validator(channel: str, action: Action, with_more_keys: bool) -> jsonschema_rs.Validator:
    payloads = [message["payload"] for message in messages_of(channel, action).values()]
    return validator(payloads, with_more_keys=with_more_keys)


def validator(payloads: list[Mapping[str, Any]], *, with_more_keys: bool = False) -> jsonschema_rs.Validator:
    """Accepts values of one of these schemas; additional keys only `with_more_keys`."""
    schemas = DOCUMENT["components"]["schemas"]
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "anyOf": [*payloads, False],  # a channel may have none
        "components": {"schemas": schemas if with_more_keys else _closed(schemas)},
    }
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def _closed(schema: Any) -> Any:
    """The schema, which the document lets have additional keys, without them; not of objects with any keys."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    has_known_keys = schema.get("type") == "object" and "properties" in schema
    return closed | {"additionalProperties": False} if has_known_keys else closed
