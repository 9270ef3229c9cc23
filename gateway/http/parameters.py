"""Parameters in URLs: an impossible id in the path is a 404, a query value out of range is a 422."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import HTTPConnection, Request

from gateway.http.problems import invalid_field, not_found
from gateway.protocol.ids import MAX_ID, id_in, seq_in
from httpapi.operation import Parameter

MAX_LENGTH = 255
"""The longest path segment, in characters (docs/protocol.md, "Limits")."""

_MAX_CURSOR: Final = 96
"""In characters."""

ANY_TEXT: Final = "any_text"
"""The name of a Starlette URL convertor for any text."""


class _AnyText(Convertor[str]):
    """Matches any text; Starlette's own `path` stops at a line break."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """The value, unchanged."""
        return value

    def to_string(self, value: str) -> str:
        """The value, unchanged."""
        return value


register_url_convertor(ANY_TEXT, _AnyText())


def path_segment(connection: HTTPConnection, before: str, after: str) -> str:
    """The single segment of the URL's path between these two texts, 1 to MAX_LENGTH characters long.

    The router sees only the decoded path, in which an encoded slash of the segment looks like one of the URL.
    Raises: Problem (404, as for any unknown URL).
    """
    encoded = bytes(connection.scope["raw_path"]).removeprefix(before.encode()).removesuffix(after.encode())
    try:
        segment = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise not_found() from None
    if b"/" in encoded or not 1 <= len(segment) <= MAX_LENGTH:
        raise not_found()
    return segment


def path_id(request: Request, name: str) -> int:
    """The id in the path.

    Raises: Problem (404 for a value that cannot be an id, as for an unknown id).
    """
    value = id_in(request.path_params[name])
    if value is None:
        raise not_found()
    return value


@dataclass(frozen=True, slots=True)
class QueryNumber:
    """A whole number in the query, from `low` to `high`."""

    name: str
    meaning: str
    low: int = 0
    high: int = MAX_ID

    @property
    def parameter(self) -> Parameter:
        """The parameter for the OpenAPI document."""
        schema = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return Parameter(self.name, self.meaning, schema)

    def read(self, request: Request) -> int | None:
        """The number; None if the query does not have it.

        Raises: Problem (422 for several values, or for one that is not such a number).
        """
        texts = request.query_params.getlist(self.name)
        if not texts:
            return None
        value = seq_in(texts[0]) if len(texts) == 1 else None
        if value is None or not self.low <= value <= self.high:
            raise invalid_field(f"{self.name} must be one whole number from {self.low} to {self.high}.")
        return value


@dataclass(frozen=True, slots=True)
class QueryChoice:
    """One of some words in the query."""

    name: str
    meaning: str
    choices: tuple[str, ...]

    @property
    def parameter(self) -> Parameter:
        """The parameter for the OpenAPI document."""
        return Parameter(self.name, self.meaning, {"type": "string", "enum": list(self.choices)})

    def read(self, request: Request) -> str | None:
        """The word; None if the query does not have it.

        Raises: Problem (422 for several values, or for another one).
        """
        texts = request.query_params.getlist(self.name)
        if not texts:
            return None
        if len(texts) > 1 or texts[0] not in self.choices:
            raise invalid_field(f"{self.name} must be {' or '.join(self.choices)}.")
        return texts[0]


@dataclass(frozen=True, slots=True)
class QueryPlace:
    """Where the next page of a list begins, as a text without meaning for clients; another list's is rejected.

    It is `parts` numbers, none below `low`.
    """

    list_name: str
    parts: int
    low: int = 0
    name: str = "cursor"

    @property
    def parameter(self) -> Parameter:
        """The parameter for the OpenAPI document."""
        schema = {"type": "string", "minLength": 1, "maxLength": _MAX_CURSOR}
        return Parameter(self.name, "the `next` of the previous page", schema)

    def text(self, place: Sequence[int]) -> str:
        """The cursor of a place."""
        return urlsafe_b64encode(":".join([self.list_name, *map(str, place)]).encode()).decode().rstrip("=")

    def read(self, request: Request) -> tuple[int, ...] | None:
        """The place; None if the query has no cursor.

        Raises: Problem (422 for several cursors, or for one that `text` has not made).
        """
        texts = request.query_params.getlist(self.name)
        if not texts:
            return None
        place = self._place(texts[0]) if len(texts) == 1 and len(texts[0]) <= _MAX_CURSOR else None
        if place is None or self.text(place) != texts[0]:
            raise invalid_field(f"{self.name} must be the `next` of an earlier page of this list.")
        return place

    def _place(self, text: str) -> tuple[int, ...] | None:
        try:
            decoded = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        except ValueError:  # not base64, or not UTF-8
            return None
        parts = decoded.removeprefix(f"{self.list_name}:").split(":")
        place = tuple(number for part in parts if (number := seq_in(part)) is not None and number >= self.low)
        return place if len(place) == len(parts) == self.parts else None


class QueryCursor:
    """A place that is the id of the last entry of the page before."""

    def __init__(self, list_name: str) -> None:
        self._place = QueryPlace(list_name, parts=1, low=1)
        self.parameter = self._place.parameter

    def text(self, position: int | None) -> str | None:
        """The cursor of an id; None if there is none."""
        return None if position is None else self._place.text([position])

    def read(self, request: Request) -> int | None:
        """The id; None if the query has no cursor.

        Raises: Problem (422), as `QueryPlace.read`.
        """
        place = self._place.read(request)
        return None if place is None else place[0]
