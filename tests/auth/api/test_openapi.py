"""The OpenAPI document, generated from the declarations of endpoints, and the Postman collection generated from it."""

from typing import Any, TypedDict

import httpx
import msgspec
import pytest
from openapi_spec_validator import validate
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from auth.app import AuthService, create_app
from httpapi.errors import UndocumentedRoute
from httpapi.openapi import document
from httpapi.operation import Audience, Parameter, operation
from httpapi.postman import collection
from httpapi.site import Site


class Question(msgspec.Struct):
    """What is asked."""

    text: str
    urgency: int = 0


class Answer(TypedDict):
    """What is answered."""

    text: str


@operation(
    "Ask.",
    Audience.USER,
    {200: Answer},
    {404: "not_found"},
    parameters=(Parameter("limit", "how many", {"type": "integer"}),),
    body=Question,
    example={"text": "why?"},
)
async def ask(_: Request) -> Response:
    raise NotImplementedError


@operation("Say nothing.", Audience.GUEST, {204: None})
async def hush(_: Request) -> Response:
    raise NotImplementedError


async def unsaid(_: Request) -> Response:
    raise NotImplementedError


ROUTES = [
    Route("/api/v1/questions/{user_id}/{name:path}", ask, methods=["POST"]),
    Route("/hush", hush, methods=["GET"]),
    Route("/page", unsaid, include_in_schema=False),
]


def made() -> dict[str, Any]:
    return document(ROUTES, title="t", version="1", description="d", everywhere={403: "forbidden_origin"})


def test_document_is_valid_openapi() -> None:
    validate(made())


def test_server_url_is_public_url_or_root() -> None:
    def urls(**more: Any) -> tuple[str, str]:
        whole = document(ROUTES, title="t", version="1", description="d", everywhere={}, **more)
        validate(whole)
        flow = whole["components"]["securitySchemes"]["password"]["flows"]["password"]
        return whole["servers"][0]["url"], flow["tokenUrl"]

    assert urls() == ("/", "/api/v1/login/access-token")
    public = "https://a.example/chat"
    assert urls(public_url=public) == (public, f"{public}/api/v1/login/access-token")


def test_operation_has_declarations_of_its_endpoint() -> None:
    (said,) = made()["paths"]["/api/v1/questions/{user_id}/{name}"].values()
    assert said["summary"] == "Ask."
    assert said["security"] == [{"password": []}, {"bearer": []}, {"query": []}, {"cookie": []}]
    assert [(one["name"], one["in"], one["schema"]["type"]) for one in said["parameters"]] == [
        ("user_id", "path", "integer"),
        ("name", "path", "string"),
        ("limit", "query", "integer"),
    ]
    assert said["requestBody"]["content"]["application/json"] == {
        "schema": {"$ref": "#/components/schemas/Question"},
        "example": {"text": "why?"},
    }
    answers = {status: list(answer.get("content", {})) for status, answer in said["responses"].items()}
    problem = ["application/problem+json"]
    assert answers.pop("200") == ["application/json"]
    assert answers == dict.fromkeys(["400", "401", "403", "404", "408", "413", "415", "422", "503"], problem)


def codes(answer: dict[str, Any]) -> list[str]:
    """The `code`s that a refusal may have."""
    _, these = answer["content"]["application/problem+json"]["schema"]["allOf"]
    found: list[str] = these["properties"]["code"]["enum"]
    return found


def test_error_response_lists_exactly_its_possible_codes() -> None:
    (said,) = made()["paths"]["/api/v1/questions/{user_id}/{name}"].values()
    refusals = {status: codes(answer) for status, answer in said["responses"].items() if status != "200"}
    assert refusals["400"] == ["ambiguous_token", "incomplete", "invalid_json"]
    assert refusals["404"] == ["not_found"]
    assert said["responses"]["400"]["description"].endswith("`code`: ambiguous_token, incomplete, invalid_json.")


def test_unavailable_response_requires_retry_after() -> None:
    (said,) = made()["paths"]["/hush"].values()
    assert said["responses"]["503"]["headers"]["Retry-After"]["required"] is True


def test_schemas_describe_types_as_validated() -> None:
    schema = made()["components"]["schemas"]["Question"]
    assert schema["required"] == ["text"]
    assert schema["properties"] == {"text": {"type": "string"}, "urgency": {"type": "integer", "default": 0}}


def test_html_pages_are_left_out() -> None:
    assert "/page" not in made()["paths"]


def test_route_without_documentation_is_an_error() -> None:
    with pytest.raises(UndocumentedRoute, match="GET /unsaid"):
        document([Route("/unsaid", unsaid)], title="t", version="1", description="d", everywhere={})


def test_mount_without_documentation_is_an_error() -> None:
    with pytest.raises(UndocumentedRoute, match="Mount"):
        document([Mount("/more", routes=ROUTES)], title="t", version="1", description="d", everywhere={})


async def test_standalone_auth_documents_its_own_routes(memory_service: AuthService) -> None:
    transport = httpx.ASGITransport(create_app(memory_service))
    async with httpx.AsyncClient(transport=transport, base_url="http://auth.example") as http:
        alone = (await http.get("/openapi.json")).json()
        assert (await http.get("/docs")).status_code == 200
    validate(alone)
    own = {route.path for route in memory_service.routes() if isinstance(route, Route)}
    assert set(alone["paths"]) == own | {"/livez"}


def test_collection_has_a_request_for_each_operation() -> None:
    folders = {folder["name"]: folder["item"] for folder in collection(made())["item"]}
    assert set(folders) == {"questions", "hush"}
    (item,) = folders["questions"]
    request = item["request"]
    assert (item["name"], request["method"]) == ("Ask.", "POST")
    assert request["url"]["raw"] == "{{baseUrl}}/api/v1/questions/:user_id/:name"
    assert request["url"]["variable"] == [{"key": "user_id", "value": "2"}, {"key": "name", "value": "my-name"}]
    assert request["auth"]["bearer"][0]["value"] == "{{token}}"
    assert msgspec.json.decode(request["body"]["raw"]) == {"text": "why?"}
    (quiet,) = folders["hush"]
    assert quiet["request"]["header"] == [{"key": "X-Service-Key", "value": "{{serviceKey}}", "disabled": True}]


async def test_collection_has_base_url_of_its_request(memory_service: AuthService) -> None:
    memory_service.site = Site(any_host=True)
    transport = httpx.ASGITransport(create_app(memory_service))
    async with httpx.AsyncClient(transport=transport, base_url="http://auth.example:81") as http:
        whole = (await http.get("/postman.json")).json()
        strange = (await http.get("/postman.json", headers={"Host": "a b"})).json()
    assert {"key": "baseUrl", "value": "http://auth.example:81"} in whole["variable"]
    assert {"key": "baseUrl", "value": "http://127.0.0.1:8000"} in strange["variable"]


async def test_collection_stores_token_of_login(memory_service: AuthService) -> None:
    transport = httpx.ASGITransport(create_app(memory_service))
    async with httpx.AsyncClient(transport=transport, base_url="http://auth.example") as http:
        whole = (await http.get("/postman.json")).json()
    items = {item["request"]["url"]["raw"]: item for folder in whole["item"] for item in folder["item"]}
    scripts = {raw: item["event"] for raw, item in items.items() if "event" in item}
    paths = ("/login", "/api/v1/login/access-token", "/api/v1/login/refresh")
    assert set(scripts) == {"{{baseUrl}}" + path for path in paths}
    for (event,) in scripts.values():
        assert event["listen"] == "test"
        assert 'pm.collectionVariables.set("token"' in "".join(event["script"]["exec"])
