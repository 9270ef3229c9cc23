"""Structured logs: one JSON line a record in production, aligned text in a terminal; never a token or a password.

A record's message is an event's name (snake_case); what belongs to it comes as `extra={"fields": {…}}`. Messages of
chats are logged by id, never by text.
"""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from gateway.settings import LogFormat

_OURS: Final = ("gateway", "auth", "storage")
_SECRETS: Final = re.compile(
    r"(?-i:eyJ)[\w-]{12,}(?:\.[\w-]*)*"  # a JWT; no boundary before it, since an escape like \n ends in a letter
    r"|(?-i:tkt_)[\w-]{16,}"  # a one-use ticket
    r"|(?P<query>(?:token|ticket|password|secret|service-key)(?:=|\\?[\"']: ?\\?[\"']))[^&\s\"'\\]+"  # also as a key
    r"|(?P<header>bearer[ ,]+)[\w.~+/-]{8,}=*"
    r"|(?P<url>://)[^/?#@\s\"'\\]+(?=@)",  # the user and password of a database's URL
    re.IGNORECASE,
)
_SIGNS: Final = ("eyj", "tkt_", "token", "ticket", "password", "secret", "service-key", "bearer", "://")
"""Without one of these in it, in whatever case, there is nothing to hide, and looking for it cost most of a record."""
_COLOURS: Final = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}


def set_up(log_format: LogFormat, *, debug: bool, node: str, stream: TextIO | None = None) -> None:
    """Send every record of this process to `stream` (stderr), in one form; `node` stands in each."""
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter: logging.Formatter
    if log_format is LogFormat.JSON:
        formatter = JsonFormatter(node)
    else:
        formatter = TextFormatter(node, coloured=handler.stream.isatty())
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # No line says by which thread, process and function it was written, and to find that out for each costs a quarter
    # of it. The ways not to are the standard library's own (its logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    root.setLevel(logging.WARNING)  # below that, libraries speak of URLs, frames, statements and their values
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.INFO)


def redacted(text: str) -> str:
    """`text` without anything that looks like a credential: the last resort, should one ever get into a record."""

    folded = text.casefold()
    if not any(sign in folded for sign in _SIGNS):
        return text

    def hide(match: re.Match[str]) -> str:
        return (match["query"] or match["header"] or match["url"] or "") + "[redacted]"

    return _SECRETS.sub(hide, text)


class JsonFormatter(logging.Formatter):
    """One JSON object a record, in ASCII: nothing in it can start a line of its own or drive a terminal."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        own = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            "node": self._node,
        }
        line: dict[str, Any] = {**own, **_fields(record), **own}  # own first in order, and never overwritten
        if record.exc_info:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return redacted(_encode(line))


class TextFormatter(logging.Formatter):
    """`10:30:00.123 info connected chat_id=1 …`, with a traceback below where there is one."""

    def __init__(self, node: str, *, coloured: bool) -> None:
        super().__init__()
        self._node = node
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
        level = record.levelname.lower().ljust(7)
        colour = _COLOURS.get(record.levelname)
        if self._coloured and colour:
            level = f"\x1b[{colour}m{level}\x1b[0m"
        fields = "".join(f" {name}={_one_line(_text(value))}" for name, value in _fields(record).items())
        line = f"{time} {self._node} {level} {_one_line(record.getMessage())}{fields}"
        if record.exc_info:
            # indented, so that nothing in an error's text passes for a record
            trace = "".join(traceback.format_exception(*record.exc_info)).splitlines()
            line += "".join(f"\n    {_one_line(text)}" for text in trace)
        return redacted(line)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _text(value: object) -> str:
    """What a value says of itself; a record is not lost for one that cannot."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__}: {type(error).__name__}>"


_encode: Final = json.JSONEncoder(default=_text).encode


def _one_line(text: str) -> str:
    """No value may start a line, or a terminal's escape sequence, of its own."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
