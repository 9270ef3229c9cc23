"""The OpenAPI document, made from what endpoints say of themselves, and the Postman collection made from it."""

from typing import Any, TypedDict

import msgspec
import pytest
from openapi_spec_validator import validate
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auth.openapi import UndocumentedRoute, document
from auth.operation import Caller, Parameter, operation
from auth.postman import collection


class Question(msgspec.Struct):
    """What is asked."""

    text: str
    urgency: int = 0


class Answer(TypedDict):
    """What is answered."""

    text: str


@operation(
    "Ask.",
    Caller.USER,
    {200: Answer},
    {404: "not_found"},
    parameters=(Parameter("limit", "how many", {"type": "integer"}),),
    body=Question,
    example={"text": "why?"},
)
async def ask(_: Request) -> Response:
    raise NotImplementedError


@operation("Say nothing.", Caller.GUEST, {204: None})
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
    return document(ROUTES, title="t", version="1", description="d")


def test_it_is_valid_openapi() -> None:
    validate(made())


def test_an_operation_has_what_its_endpoint_says() -> None:
    (said,) = made()["paths"]["/api/v1/questions/{user_id}/{name}"].values()
    assert said["summary"] == "Ask."
    assert said["security"] == [{"bearer": []}, {"query": []}, {"cookie": []}]
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
    assert "ambiguous_token, invalid_json, incomplete" in said["responses"]["400"]["description"]


def test_types_are_described_as_they_validate() -> None:
    schema = made()["components"]["schemas"]["Question"]
    assert schema["required"] == ["text"]
    assert schema["properties"] == {"text": {"type": "string"}, "urgency": {"type": "integer", "default": 0}}


def test_pages_for_people_are_left_out() -> None:
    assert "/page" not in made()["paths"]


def test_a_route_that_says_nothing_is_an_error() -> None:
    with pytest.raises(UndocumentedRoute, match="GET /unsaid"):
        document([Route("/unsaid", unsaid)], title="t", version="1", description="d")


def test_a_collection_has_a_request_for_each_operation() -> None:
    folders = {folder["name"]: folder["item"] for folder in collection(made())["item"]}
    assert set(folders) == {"questions", "hush"}
    (item,) = folders["questions"]
    request = item["request"]
    assert (item["name"], request["method"]) == ("Ask.", "POST")
    assert request["url"]["raw"] == "{{baseUrl}}/api/v1/questions/:user_id/:name"
    assert [variable["key"] for variable in request["url"]["variable"]] == ["user_id", "name"]
    assert request["auth"]["bearer"][0]["value"] == "{{token}}"
    assert msgspec.json.decode(request["body"]["raw"]) == {"text": "why?"}
    (quiet,) = folders["hush"]
    assert quiet["request"]["header"] == [{"key": "X-Service-Key", "value": "{{serviceKey}}", "disabled": True}]
