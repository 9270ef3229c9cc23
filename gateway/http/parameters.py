"""Numbers in URLs: an id that can be none is not found, a query value out of range is invalid."""

from dataclasses import dataclass

from starlette.requests import Request

from auth.operation import Parameter
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


@dataclass(frozen=True, slots=True)
class QueryNumber:
    """A whole number in the query, from `low` to `high`: read as it is documented."""

    name: str
    meaning: str
    low: int = 0
    high: int = MAX_ID

    @property
    def said(self) -> Parameter:
        """For the document."""
        schema = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return Parameter(self.name, self.meaning, schema)

    def read(self, request: Request) -> int | None:
        """The number; None if it is not given.

        Raises: Problem (422 for anything else than one such number).
        """
        given = request.query_params.getlist(self.name)
        if not given:
            return None
        value = _whole(given[0]) if len(given) == 1 else None
        if value is None or not self.low <= value <= self.high:
            raise invalid_field(f"{self.name} must be one whole number from {self.low} to {self.high}.")
        return value


def _whole(text: str) -> int | None:
    """A number that fits a BIGINT and is written in ASCII digits alone."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_ID)):
        return None
    value = int(text)
    return value if value <= MAX_ID else None
