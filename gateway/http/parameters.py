"""Numbers in URLs: an id that can be none is not found, a query value out of range is invalid."""

from starlette.requests import Request

from gateway.messages import MAX_ID
from gateway.problems import invalid_field, not_found


def path_id(request: Request, name: str) -> int:
    """The id in the path.

    Raises: Problem (404 for what can be no id, as for an id of nothing).
    """
    value = _whole(request.path_params[name])
    if not value:
        raise not_found()
    return value


def query_number(request: Request, name: str, low: int = 0, high: int = MAX_ID) -> int | None:
    """The whole number in the query; None if it is not given.

    Raises: Problem (422 for anything else than one number from `low` to `high`).
    """
    given = request.query_params.getlist(name)
    if not given:
        return None
    value = _whole(given[0]) if len(given) == 1 else None
    if value is None or not low <= value <= high:
        raise invalid_field(f"{name} must be one whole number from {low} to {high}.")
    return value


def _whole(text: str) -> int | None:
    """A number that fits a BIGINT and is written in ASCII digits alone."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_ID)):
        return None
    value = int(text)
    return value if value <= MAX_ID else None
