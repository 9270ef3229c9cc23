"""Builds the AsyncAPI 3.0 document from the descriptions of the URL families."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from gateway.asyncapi.chat import CHAT, PUBLIC
from gateway.asyncapi.echo import ECHO
from gateway.asyncapi.family import JSON, Access, Family, Frame
from gateway.asyncapi.fields import schema_of
from gateway.asyncapi.meanings import CLOSES, ERRORS, STANDARD_CLOSES
from gateway.asyncapi.native import NATIVE
from gateway.asyncapi.room import ROOM
from gateway.asyncapi.service import SERVICE, SUPPORT
from gateway.asyncapi.sse import SSE
from gateway.protocol.codes import Close, ErrorCode

FAMILIES: Final = (NATIVE, SSE, CHAT, SERVICE, SUPPORT, ROOM, ECHO, PUBLIC)

_DESCRIPTION: Final = """\
The WebSocket API of the gateway, and its event streams; the HTTP API is in `/openapi.json`. The document is written
from the gateway's view: the gateway *receives* commands and *sends* the messages that clients get.

**Messages** are one JSON object each, in a text message of at most 64 KiB. New keys may be added to any of them: ignore
unknown keys. Times are UTC. Every URL is served with and without a trailing slash.

**Reconnecting.** Every event of a chat (a message, an edit, a deletion) has a `seq`: 1, 2, 3 … without holes. With
`?since=<seq>` or `?since=<epoch>:<seq>` the client first gets all events with a higher seq, then `caught_up`, then live
messages: without gaps or duplicates, however old the position is. `reset` instead of these means that the position
belongs to another history: reload the chat.

**Tokens** are accepted as `Authorization: Bearer …`, as the query parameter `token`, as the subprotocol pair
`bearer, <token>` (in any letter case; the response selects `bearer` in the client's spelling), or as the cookie
`access_token`, which counts only if there is no other token and the `Origin` is allowed. Two different tokens are
rejected. A one-use ticket, valid for 30 s, can replace a user's token everywhere: `GET /echo_ws` and `GET /pub_ws`
return URLs with one.

**Rejections** happen before the socket opens, as problem JSON (RFC 9457) with HTTP status 400 (two tokens), 401, 403,
404, 409 or 503. A page cannot read those, so for a handshake with an `Origin` the socket is opened and closed with the
corresponding close code. A page whose origin is not allowed always gets HTTP 403. A request without
`Upgrade: websocket`, which some proxies drop from a handshake, gets 426.

**Close codes.** 4000–4399: reconnect automatically, with full jitter. 4400–4999: do not reconnect until the cause is
removed.

| code | reconnect? | meaning |
|---|---|---|
"""

_SOCKETS: Final = "gateway"
_STREAMS: Final = "streams"

_SECURITY: Final[Mapping[Access, tuple[str, ...]]] = {
    Access.USER: ("bearer", "query", "subprotocol", "cookie"),
    Access.GUEST: ("bearer", "query", "subprotocol", "cookie"),
    Access.ANYBODY: (),
}
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "query": {"type": "httpApiKey", "in": "query", "name": "token"},
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "The pair `bearer, <token>`: `new WebSocket(url, ['bearer', token])`.",
    },
    "cookie": {"type": "httpApiKey", "in": "cookie", "name": "access_token"},
}
_TOKENS: Final[Mapping[Access, str]] = {
    Access.USER: "A user's access token, or a one-use ticket.",
    Access.GUEST: "A guest's token for this room.",
    Access.ANYBODY: "A user's access token, or a one-use ticket. Without a valid one the client is anonymous.",
}


def document(*, version: str, public_url: str, max_text_length: int) -> dict[str, Any]:
    """The document of all families. `public_url` is the gateway's URL for clients; "" if it is unknown."""
    frames = {frame.shape: frame for family in FAMILIES for frame in (*family.commands, *family.frames)}
    shapes = sorted(frames, key=lambda shape: shape.__name__)
    payloads, schemas = msgspec.json.schema_components(
        shapes, schema_hook=lambda kind: schema_of(kind, max_text_length), ref_template="#/components/schemas/{name}"
    )
    for shape, frame in frames.items():
        if frame.is_closed:
            schemas[shape.__name__]["additionalProperties"] = False
    schemas[ErrorCode.__name__]["description"] = "\n".join(f"- `{code}`: {ERRORS[code]}" for code in ErrorCode)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "chat-gateway", "version": version, "description": _DESCRIPTION + _close_table()},
        "defaultContentType": JSON,
        "servers": {_SOCKETS: _server(public_url, "ws"), _STREAMS: _server(public_url, "http")},
        "channels": {family.name: _channel(family) for family in FAMILIES},
        "operations": {name: operation for family in FAMILIES for name, operation in _operations(family)},
        "components": {
            "schemas": schemas,
            "messages": {
                shape.__name__: _message(frames[shape], payload)
                for shape, payload in zip(shapes, payloads, strict=True)
            },
            "securitySchemes": _SCHEMES,
        },
    }


def _close_table() -> str:
    ours = [(code.value, "yes" if code.may_reconnect else "no", CLOSES[code]) for code in Close]
    standard = [(code, "yes" if code == 1006 else "no", meaning) for code, meaning in STANDARD_CLOSES.items()]
    return "".join(f"| {code} | {back} | {meaning} |\n" for code, back, meaning in standard + ours)


def _server(public_url: str, protocol: str) -> dict[str, Any]:
    """The gateway as a server of "ws" or "http", or of the same over TLS."""
    if not public_url:
        host = {"default": "localhost:8000", "description": "The host from which this document was loaded."}
        return {"host": "{host}", "protocol": protocol, "variables": {"host": host}}
    url = urlsplit(public_url)
    server = {"host": url.netloc, "protocol": f"{protocol}s" if url.scheme == "https" else protocol}
    return server | {"pathname": url.path} if url.path.strip("/") else server


def _channel(family: Family) -> dict[str, Any]:
    names = dict.fromkeys(frame.shape.__name__ for frame in (*family.commands, *family.frames))
    channel = {
        "address": family.address,
        "title": family.title,
        "description": family.description,
        "servers": [{"$ref": f"#/servers/{_STREAMS if family.is_stream else _SOCKETS}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "x-close-codes": [_close(code) for code in sorted(family.closes)],
    }
    if not family.is_stream:
        channel["bindings"] = {"ws": _binding(family, "0.1.0")}
    parameters = {name: {"description": meaning} for name, meaning in family.parameters.items()}
    return channel | {"parameters": parameters} if parameters else channel


def _binding(family: Family, version: str) -> dict[str, Any]:
    """The request that connects: of a channel with WebSockets, of an operation over HTTP."""
    query = {"token": {"type": "string", "description": _TOKENS[family.access]}}
    if family.takes_since:
        query["since"] = {
            "type": "string",
            "pattern": "^(.*:)?[0-9]{1,19}$",
            "description": "The last seq that the client has, alone or after its epoch and a colon.",
        }
    query |= {name: {"type": "string", "description": meaning} for name, meaning in family.query.items()}
    return {"method": "GET", "query": {"type": "object", "properties": query}, "bindingVersion": version}


def _close(code: Close) -> dict[str, Any]:
    return {"code": code.value, "name": code.name.lower(), "reconnect": code.may_reconnect, "meaning": CLOSES[code]}


def _operations(family: Family) -> Iterable[tuple[str, dict[str, Any]]]:
    for name, action, frames, summary in (
        ("commands", "receive", family.commands, "Commands that a client may send."),
        ("frames", "send", family.frames, "Messages that a client gets."),
    ):
        if not frames:
            continue
        channel = f"#/channels/{family.name}"
        operation = {
            "action": action,
            "channel": {"$ref": channel},
            "summary": summary,
            "messages": [{"$ref": f"{channel}/messages/{frame.shape.__name__}"} for frame in frames],
        }
        if family.is_stream:
            operation["bindings"] = {"http": _binding(family, "0.3.0")}
        security = [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SECURITY[family.access]]
        yield f"{family.name}-{name}", operation | {"security": security} if security else operation


def _message(frame: Frame, payload: Mapping[str, Any]) -> dict[str, Any]:
    summary = inspect.cleandoc(frame.shape.__doc__ or "")
    message = {
        "name": frame.shape.__name__,
        "title": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", frame.shape.__name__),
        "summary": summary,
        "contentType": frame.content_type,
        "payload": payload,
    }
    examples = [{"payload": example} for example in frame.examples]
    return message | {"examples": examples} if examples else message
