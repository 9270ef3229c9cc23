"""A free string in a URL's path, percent-decoded: slashes in it, encoded, are its own."""

from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import HTTPConnection

from gateway.problems import not_found

MAX_LENGTH = 255
"""Characters (protocol.md, the URL of seed 000)."""

ANY_TEXT: Final = "any_text"
"""The kind of a parameter in a route's path."""


class _AnyText(Convertor[str]):
    """Starlette's own `path` stops at a line break."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor(ANY_TEXT, _AnyText())


def path_segment(connection: HTTPConnection, before: str, after: str) -> str:
    """The one segment of the URL's path between these two texts, 1 to MAX_LENGTH characters long.

    The router has only the decoded path, in which a slash of the string and one of the URL look the same.
    Raises: Problem (404, as for any URL that there is not).
    """
    encoded = bytes(connection.scope["raw_path"]).removeprefix(before.encode()).removesuffix(after.encode())
    try:
        segment = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise not_found() from None
    if b"/" in encoded or not 1 <= len(segment) <= MAX_LENGTH:
        raise not_found()
    return segment
