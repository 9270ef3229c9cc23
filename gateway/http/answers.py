"""What every successful answer of the API has in common."""

from http import HTTPStatus

from starlette.responses import Response

from gateway.wire import to_json

NO_STORE = {"Cache-Control": "no-store"}


def answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """`value` as JSON; it belongs to one user and one moment, so no cache may keep it."""
    return Response(to_json(value), status, NO_STORE, media_type="application/json")
