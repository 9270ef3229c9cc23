"""The types of the protocol for TypeScript, from the schemas of `/asyncapi.json` and `/openapi.json`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.api.schemas import ChatList, ChatObject, MemberList, MessagePage, UnreadObject
from gateway.api.users.users import MeObject
from gateway.asyncapi.document import document
from httpapi.openapi import ProblemDocument
from scripts.generators.marked import ROOT

PAGE: Final = ROOT / "clients/js/protocol.d.ts"
HTTP: Final = (ChatList, ChatObject, MeObject, MemberList, MessagePage, ProblemDocument, UnreadObject)
"""The responses of calls that the client makes, or that its users will."""
_REF: Final = "#/components/schemas/"
_ABOUT: Final = """\
/** The frames of `/ws/{client_id}` and objects of the HTTP API. Made by scripts/generate; do not edit. */

"""
_Schema = Mapping[str, Any]


def made() -> dict[Path, str]:
    """The file with its expected content."""
    described = document(version="", public_url="", max_text_length=0)
    frames = {direction: list(_messages(described, f"native-{direction}")) for direction in ("commands", "frames")}
    schemas = dict(described["components"]["schemas"])
    _, over_http = msgspec.json.schema_components(HTTP, ref_template=_REF + "{name}")
    names = set(_reached([*frames["commands"], *frames["frames"]], schemas))
    schemas = {name: schemas[name] for name in names} | over_http
    parts = [_declaration(name, schemas[name]) for name in sorted(schemas, key=_name)]
    unions = [
        ("Command", "What a client sends.", frames["commands"]),
        ("Frame", "What the gateway sends.", frames["frames"]),
    ]
    parts += [f"/** {about} */\nexport type {name} = {_any_of(map(_name, each))};\n" for name, about, each in unions]
    return {PAGE: _ABOUT + "\n".join(parts)}


def _messages(described: _Schema, operation: str) -> Iterator[str]:
    """The names of the payloads of an operation."""
    for message in described["operations"][operation]["messages"]:
        name = message["$ref"].rpartition("/")[2]
        yield described["components"]["messages"][name]["payload"]["$ref"].removeprefix(_REF)


def _reached(names: Iterable[str], schemas: _Schema) -> set[str]:
    """These schemas, and those to which they refer."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += re.findall(rf'"{_REF}(\w+)"', json.dumps(schemas[name]))
    return reached


def _name(schema: str) -> str:
    """The name in TypeScript: those of one chat's socket are not there, so that the native ones need no prefix."""
    return schema.removeprefix("Native")


def _declaration(name: str, schema: _Schema) -> str:
    about = "\n".join(f" * {line}".rstrip() for line in _lines(schema.get("description", "")))
    comment = f"/**\n{about}\n */\n" if about else ""
    if "properties" not in schema:
        return f"{comment}export type {_name(name)} = {_type(schema)};\n"
    required = set(schema.get("required", ()))
    fields = [
        f"  {key}{'' if key in required else '?'}: {_type(value)};" for key, value in schema["properties"].items()
    ]
    return f"{comment}export interface {_name(name)} {{\n" + "\n".join(fields) + "\n}\n"


def _lines(description: str) -> list[str]:
    return [line.strip() for line in description.splitlines()]


def _type(schema: _Schema) -> str:
    if "$ref" in schema:
        return _name(schema["$ref"].removeprefix(_REF))
    if "enum" in schema:
        return _any_of(map(json.dumps, schema["enum"]))
    if "anyOf" in schema:
        return _any_of(map(_type, schema["anyOf"]))
    match schema.get("type"):
        case "string":
            return "string"
        case "integer" | "number":
            return "number"
        case "boolean":
            return "boolean"
        case "null":
            return "null"
        case "array":
            return f"Array<{_type(schema.get('items', {}))}>"
        case "object":
            values = schema.get("additionalProperties", {})
            return f"Record<string, {_type(values) if isinstance(values, dict) else 'unknown'}>"
    return "unknown"


def _any_of(types: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(types))
