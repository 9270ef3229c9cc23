"""Which requests are recorded, with whom and what; none of them fails or waits because of it."""

import re
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from httpapi.audit.events import Event, Result, result_of
from httpapi.audit.facts import note, note_service, note_unchanged, note_user
from httpapi.audit.middleware import Audit

Record = tuple[Event, Result, str, dict[str, Any]]


class FakeRecorder:
    """Keeps what is recorded."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.fails = False

    def record(self, event: Event, result: Result, actor: str, **fields: Any) -> None:
        if self.fails:
            raise RuntimeError("a bug")
        self.records.append((event, result, actor, fields | {"address": fields["address"]()}))


async def ban(request: Request) -> Response:
    if request.headers.get("x-service-key") == "good":
        note_service("bank")
    note(reason="spam")
    return Response(status_code=int(request.query_params.get("status", 200)))


async def free(request: Request) -> Response:
    if "user" in request.query_params:
        note_user(5)
    if "service" in request.query_params:
        note_service("bank")
    if "unchanged" in request.query_params:
        note_unchanged()
    if "bug" in request.query_params:
        raise RuntimeError
    return Response(status_code=int(request.query_params.get("status", 200)))


def client(recorder: FakeRecorder, trusted: Sequence[str] = ()) -> httpx.AsyncClient:
    routes = [
        Route("/api/v1/users/{user_id}/ban", ban, methods=["PUT"]),
        Route("/api/v1/logout", free, methods=["POST"]),
        Route("/free/{chat_id:path}", free),
        Route("/metrics", free),
    ]
    app = Audit(Starlette(routes=routes), recorder, [ip_network(one) for one in trusted])  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("203.0.113.9", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://chat.example")


@pytest.fixture
def recorder() -> FakeRecorder:
    return FakeRecorder()


async def test_operation_is_recorded_with_all_that_is_known(recorder: FakeRecorder) -> None:
    async with client(recorder) as http:
        answer = await http.put("/api/v1/users/7/ban?token=eyJsecret", headers={"X-Service-Key": "good"})
    ((event, result, actor, fields),) = recorder.records
    assert (event, result, actor) == (Event.USER_BANNED, Result.OK, "service:bank")
    assert fields == {
        "operation": "PUT /api/v1/users/{user_id}/ban",
        "on_behalf_of": "",
        "address": "203.0.113.9",
        "request_id": answer.headers["x-request-id"],
        "user_id": 7,
        "chat_id": None,
        "facts": {"reason": "spam", "status": 200},
    }


async def test_refusal_and_failure_of_an_operation_are_recorded(recorder: FakeRecorder) -> None:
    async with client(recorder) as http:
        for status in (403, 404, 422, 503):
            await http.put(f"/api/v1/users/7/ban?status={status}")
    assert [(result, actor) for _, result, actor, _ in recorder.records] == [
        (Result.DENIED, "anonymous"),
        (Result.DENIED, "anonymous"),
        (Result.DENIED, "anonymous"),
        (Result.FAILED, "anonymous"),
    ]


async def test_other_requests_are_recorded_if_refused_or_by_services(recorder: FakeRecorder) -> None:
    async with client(recorder) as http:
        for query in ("", "user", "status=404", "status=500", "service", "status=401", "user&status=403", "status=429"):
            await http.get(f"/free/9?{query}")
        await http.get("/nowhere?service")
        await http.get("/metrics?service")
        await http.get("/metrics?status=403")
    assert [(event, result, actor, fields["operation"]) for event, result, actor, fields in recorder.records] == [
        (Event.SERVICE_CALL, Result.OK, "service:bank", "GET /free/{chat_id}"),
        (Event.REQUEST_REFUSED, Result.DENIED, "anonymous", "GET /free/{chat_id}"),
        (Event.REQUEST_REFUSED, Result.DENIED, "user:5", "GET /free/{chat_id}"),
        (Event.REQUEST_REFUSED, Result.DENIED, "anonymous", "GET /free/{chat_id}"),
        (Event.REQUEST_REFUSED, Result.DENIED, "anonymous", "GET /metrics"),
    ]
    assert recorder.records[0][3]["chat_id"] == 9


async def test_success_that_changed_nothing_is_not_recorded(recorder: FakeRecorder) -> None:
    async with client(recorder) as http:
        await http.post("/api/v1/logout?unchanged")
        await http.post("/api/v1/logout?unchanged&service")
        await http.post("/api/v1/logout?unchanged&status=401")
        await http.post("/api/v1/logout?user")
    events = [event for event, *_ in recorder.records]
    assert events == [Event.SERVICE_CALL, Event.LOGOUT, Event.LOGOUT]


async def test_exception_is_recorded_as_failure(recorder: FakeRecorder) -> None:
    async with client(recorder) as http:
        await http.post("/api/v1/logout?bug")
    ((event, result, _, _),) = recorder.records
    assert (event, result) == (Event.LOGOUT, Result.FAILED)
    assert result_of(0) is Result.FAILED


async def test_defect_of_the_recorder_fails_no_request(
    recorder: FakeRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.fails = True
    async with client(recorder) as http:
        assert (await http.put("/api/v1/users/7/ban")).status_code == 200
    assert "audit_failed" in caplog.text


@pytest.mark.parametrize("given", ["abc-1", "", "a b", "x" * 65, "<script>"])
async def test_request_id_of_a_proxy_is_kept_if_well_formed(recorder: FakeRecorder, given: str) -> None:
    async with client(recorder) as http:
        answer = await http.get("/free/1", headers={"X-Request-Id": given})
        assert answer.headers["x-request-id"] != given
    async with client(recorder, ["203.0.113.0/24"]) as http:
        answer = await http.get("/free/1", headers={"X-Request-Id": given})
    shown = answer.headers["x-request-id"]
    assert shown == given if given == "abc-1" else re.fullmatch("[0-9a-f]{16}", shown)


@pytest.mark.parametrize("user_id", ["0x7", "-1", "9" * 19, "9" * 400, "\u0667", "a%00b"])
async def test_odd_id_in_the_path_is_left_out(recorder: FakeRecorder, user_id: str) -> None:
    async with client(recorder) as http:
        await http.put(f"/api/v1/users/{user_id}/ban?status=404")
    assert recorder.records[0][3]["user_id"] is None
