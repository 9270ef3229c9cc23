"""A free string in a URL's path, percent-decoded: slashes in it, encoded, are its own."""

from urllib.parse import unquote_to_bytes

from starlette.requests import HTTPConnection

from gateway.problems import not_found

MAX_LENGTH = 255
"""Characters (protocol.md, the URL of seed 000)."""


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
