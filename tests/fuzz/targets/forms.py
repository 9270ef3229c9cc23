"""The bodies of auth's endpoints: forms and JSON of any content and media type, in any chunks."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from random import Random
from typing import Any, Final
from urllib.parse import quote_plus

from starlette.requests import Request
from starlette.types import ASGIApp, Message

from auth.accounts.counters import LocalCounters
from auth.app import AuthService, create_app
from auth.settings import AuthSettings
from httpapi.body import MAX_FORM_FIELDS, SMALL_BODY_BYTES, read_form
from httpapi.errors import Problem
from tests.auth.fakes import Clock, MemoryAccounts, MemoryKeys, MemorySessions
from tests.fuzz.byte_mutations import cut, mutated
from tests.fuzz.case import Case
from tests.fuzz.targets.json_texts import text_of, value

FORM, JSON, MULTIPART = b"application/x-www-form-urlencoded", b"application/json", b"multipart/form-data"
TOKEN_PATH: Final = b"/api/v1/login/access-token"
_JSON_PATHS: Final = (b"/login", b"/register", b"/generate-token")
_TYPES: Final = (FORM, JSON, MULTIPART + b"; boundary=x", b"text/plain", b"", FORM + b"; charset=utf-7", b"\xff")
_STATUSES: Final = {200, 201, 400, 401, 403, 409, 413, 415, 422, 429}
_NAMES: Final = ("username", "password", "grant_type", "scope", "client_id", "login", "refresh", "email", "room_id")
_VALUES: Final = ("ann", "correct horse", "password", "", "κόσμε", "\x00", "a" * 200, "a=b&c", "%", "cookie", "{}")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


class Forms:
    """A case is a path, a media type, and the body's chunks."""

    name = "forms"
    cpu_s = 1.0

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def case(self, random: Random) -> Case:
        """A request with most things right."""
        is_form = random.random() < 0.6
        path, media_type = (TOKEN_PATH, FORM) if is_form else (random.choice(_JSON_PATHS), JSON)
        if random.random() < 0.15:
            media_type = random.choice(_TYPES)
        body = _form(random) if is_form else _json(random)
        if media_type.startswith(MULTIPART):
            body = b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\n' + body + b"\r\n--x--\r\n"
        if random.random() < 0.3:
            body = mutated(random, body, (b"&username=b", b"%C3", b"%00", b'"login":1'))
        if random.random() < 0.02:
            body = body * (SMALL_BODY_BYTES // max(1, len(body)) + random.choice((0, 1)))
        return path, media_type, *cut(random, body)

    async def check(self, case: Case) -> None:
        """One documented status, in the form of a problem where it is an error; a form is read as the model does."""
        path, media_type, *chunks = (*case, b"", b"")[: max(2, len(case))]
        if path not in (TOKEN_PATH, *_JSON_PATHS):
            return
        await _check_reader(media_type, chunks)
        status, headers, body = await self._call(path, media_type, chunks)
        assert status in _STATUSES, (status, body)
        content = json.loads(body)
        wanted = FORM if path == TOKEN_PATH else JSON
        if status >= HTTPStatus.BAD_REQUEST:
            assert headers["content-type"] == "application/problem+json"
            assert content["status"] == status and content["code"] and "Traceback" not in body
            assert len(body) < 4096, "a long error"
        else:
            assert media_type.split(b";")[0].strip().lower() == wanted, "another media type is read"
        assert "set-cookie" not in headers or (path, status) == (b"/login", HTTPStatus.OK)

    async def _call(self, path: bytes, media_type: bytes, chunks: list[bytes]) -> tuple[int, dict[str, str], str]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope = _scope(path, media_type)
        await self._app(scope, _receiver(chunks), send)
        headers = {name.decode().lower(): text.decode() for name, text in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(message["body"] for message in sent[1:]).decode()


def _scope(path: bytes, media_type: bytes) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"",
        "headers": [(b"host", b"a"), (b"content-type", media_type)],
        "client": ("203.0.113.9", 1),
        "server": ("a", 80),
        "scheme": "http",
    }


def _receiver(chunks: list[bytes]) -> Any:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    left = iter(messages)

    async def receive() -> Message:
        return next(left, {"type": "http.disconnect"})

    return receive


async def _check_reader(media_type: bytes, chunks: list[bytes]) -> None:
    request = Request(_scope(TOKEN_PATH, media_type), _receiver(chunks))
    try:
        read = await read_form(request)
    except Problem as problem:
        read = None
        assert problem.status in (400, 413, 415), problem.status
    is_form = media_type.split(b";")[0].strip().lower() == FORM
    expected = _model(b"".join(chunks)) if is_form else None
    assert read == expected, f"read {read}, expected {expected}"


def _model(body: bytes) -> dict[str, str] | None:
    """The fields of a form; None if it must be rejected."""
    if len(body) > SMALL_BODY_BYTES or body.count(b"&") >= MAX_FORM_FIELDS:
        return None
    fields: dict[str, str] = {}
    try:
        body.decode()
        for part in body.split(b"&"):
            name, _, content = part.partition(b"=")
            if not content:
                continue
            key = _decoded(name)
            if key in fields:
                return None
            fields[key] = _decoded(content)
    except UnicodeDecodeError:
        return None
    return fields


def _decoded(text: bytes) -> str:
    return _ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), text.replace(b"+", b" ")).decode()


def _form(random: Random) -> bytes:
    fields = {"username": "ann", "password": "correct horse"}
    for _ in range(random.choice((0, 1, 1, 3, 40))):
        fields[random.choice(_NAMES)] = random.choice(_VALUES)
    pairs = [f"{name}={quote_plus(text)}" for name, text in fields.items()]
    if random.random() < 0.15:
        pairs.append(random.choice(pairs))
    if random.random() < 0.05:
        pairs += [f"x{number}=y" for number in range(random.choice((20, 30, 31, 60)))]
    return random.choice(("&", "&", "&", ";", "&&")).join(pairs).encode()


def _json(random: Random) -> bytes:
    fields: dict[str, Any] = {"login": "ann", "password": "correct horse", "username": "a", "email": "a@b.example"}
    fields["room_id"] = "r"
    for _ in range(random.choice((0, 1, 2))):
        name = random.choice((*_NAMES, "first_name", "last_name"))
        fields[name] = random.choice(_VALUES) if random.random() < 0.6 else value(random)
    return text_of(random, fields)


@asynccontextmanager
async def open_forms() -> AsyncIterator[Forms]:
    """The target: auth over memory, with its limits."""
    accounts = MemoryAccounts()
    sessions = MemorySessions(accounts, Clock())
    service = AuthService(accounts, sessions, MemoryKeys(), LocalCounters(), AuthSettings())
    try:
        yield Forms(create_app(service))
    finally:
        service.close()
