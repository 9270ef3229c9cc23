"""Structured logs: one JSON line per record in production, aligned text in a terminal; never a token or a password.

A record's message is the name of an event (snake_case); its fields are passed as `extra={"fields": {…}}`. Chat messages
are logged by id, never by text.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TextIO

import orjson

from gateway.config.choices import LogFormat
from gateway.server.log_sampling import Sampling

_OURS: Final = ("gateway", "auth", "httpapi", "storage", "audit")
_SECRETS: Final = re.compile(
    r"(?-i:eyJ)[\w-]{12,}(?:\.[\w-]*)*"  # a JWT; no boundary before it, since an escape like \n ends in a letter
    r"|(?-i:tkt_|inv_|pwr_)[\w-]{16,}"  # a one-use ticket, an invitation, a token to reset a password
    r"|(?-i:rt_)[0-9a-f]{32}_[\w-]{43}"  # a refresh token
    r"|(?P<query>(?:token|ticket|password|secret|service-key)(?:=\"?|\\?[\"']: ?\\?[\"']))[^&\s\"'\\]+"  # also as a key
    r"|(?P<header>bearer[ ,]+)[\w.~+/-]{8,}=*"
    r"|(?P<url>://)[^/?#@\s\"'\\]+(?=@)",  # the user and password of a database's URL
    re.IGNORECASE,
)
_UNQUOTED: Final = re.compile(r'[\s"=]')
_SIGNS: Final = (
    "eyj",
    "tkt_",
    "inv_",
    "pwr_",
    "rt_",
    "token",
    "ticket",
    "password",
    "secret",
    "service-key",
    "bearer",
    "://",
)
"""A text without any of these (in any letter case) has nothing to redact. Without this check, the regular expression
took most of the time of a record."""
_COLOURS: Final = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}


def set_up(log_format: LogFormat, *, debug: bool, node: str, stream: TextIO | None = None) -> Sampling:
    """Write all records of this process to `stream` (default stderr), each with the field `node`.

    Returns the filter that bounds the lines per second; its `summarize` must be run as a task.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter: logging.Formatter
    if log_format is LogFormat.JSON:
        formatter = JsonFormatter(node)
    else:
        formatter = TextFormatter(node, coloured=handler.stream.isatty())
    handler.setFormatter(formatter)
    sampling = Sampling()
    handler.addFilter(sampling)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Our lines have no thread, process or function, and collecting those takes a quarter of a record's time. The
    # standard library documents these switches (its logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    root.setLevel(logging.WARNING)  # below that, libraries log URLs, frames, SQL statements and their values
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.INFO)
    return sampling


def redacted(text: str) -> str:
    """`text` without anything that looks like a credential: a safety net for records that contain one by mistake."""

    folded = text.casefold()
    if not any(sign in folded for sign in _SIGNS):
        return text

    def hide(match: re.Match[str]) -> str:
        return (match["query"] or match["header"] or match["url"] or "") + "[redacted]"

    return _SECRETS.sub(hide, text)


class JsonFormatter(logging.Formatter):
    """One JSON object per record, in ASCII, so that no value can start a new line or control a terminal."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        own = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            "node": self._node,
        }
        line: dict[str, Any] = {**own, **_fields(record), **own}  # `own` comes first and is never overwritten
        if record.exc_info:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return redacted(_encode(line))


class TextFormatter(logging.Formatter):
    """Lines such as `10:30:00.123 info connected chat_id=1 …`, each followed by its traceback, if any."""

    def __init__(self, node: str, *, coloured: bool) -> None:
        super().__init__()
        self._node = node
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of text, and its traceback."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
        level = record.levelname.lower().ljust(7)
        colour = _COLOURS.get(record.levelname)
        if self._coloured and colour:
            level = f"\x1b[{colour}m{level}\x1b[0m"
        fields = "".join(f" {name}={value}" for name, value in _pairs(_fields(record)))
        line = f"{time} {self._node} {level} {_one_line(record.getMessage())}{fields}"
        if record.exc_info:
            # indented, so that no line of an error's text can pass for a record
            trace = "".join(traceback.format_exception(*record.exc_info)).splitlines()
            line += "".join(f"\n    {_one_line(text)}" for text in trace)
        return redacted(line)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _text(value: object) -> str:
    """`str(value)`; if that raises, the names of the types, so that the record is not lost."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _pairs(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values as in logfmt; nested names have a dot: `user.id=1`."""
    for name, value in fields.items():
        if isinstance(value, dict):
            for inner, one in value.items():
                yield f"{name}.{_one_line(_text(inner))}", _logfmt_value(one)
        else:
            yield name, _logfmt_value(value)


def _logfmt_value(value: object) -> str:
    """A value without Python's notation, quoted unless it is one word."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{','.join(_logfmt_value(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_one_line(_text(name))}={_logfmt_value(one)}' for name, one in value.items())}}}"
    if isinstance(value, Enum):
        value = value.value
    text = value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else _text(value)
    is_word = text and not _UNQUOTED.search(text)
    return _one_line(text if is_word else json.dumps(text, ensure_ascii=False))


_encode_ascii: Final = json.JSONEncoder(default=_text, separators=(",", ":")).encode
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def _encode(line: dict[str, Any]) -> str:
    """The line as JSON in ASCII: by orjson, in a fifth of the time, unless it has something to escape for terminals."""
    try:
        text = orjson.dumps(line, default=_text, option=_OPTIONS).decode()
    except orjson.JSONEncodeError:  # keys that are no texts, integers beyond 64 bits, lone surrogates
        return _encode_ascii(line)
    return text if text.isascii() and "\x7f" not in text else _encode_ascii(line)


def _one_line(text: str) -> str:
    """`text` with escaped control characters: no value may start a new line or a terminal escape sequence."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
