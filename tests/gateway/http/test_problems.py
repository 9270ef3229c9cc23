"""Problem documents."""

from http import HTTPStatus

import orjson
import pytest

from gateway.http.problems import (
    Problem,
    forbidden,
    internal,
    not_found,
    rate_limited,
    refused,
    unauthorized,
    unavailable,
)
from gateway.protocol.refusals import REFUSALS
from storage.records import Refusal


def test_problem_follows_rfc_9457_with_own_code() -> None:
    response = Problem(HTTPStatus.CONFLICT, "taken", "Is taken.", headers={"X-A": "b"}, who="ann").response()
    assert orjson.loads(response.body) == {
        "title": "Conflict",
        "status": 409,
        "code": "taken",
        "detail": "Is taken.",
        "who": "ann",
    }
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-a"] == "b"


@pytest.mark.parametrize(("wait_s", "said"), [(0, 1), (0.2, 1), (1, 1), (1.01, 2), (59.3, 60)])
def test_retry_after_is_rounded_up_to_whole_seconds(wait_s: float, said: int) -> None:
    for problem, status in ((rate_limited(wait_s), 429), (unavailable(wait_s), 503)):
        assert problem.status == status
        assert problem.headers["Retry-After"] == str(said)
        assert problem.members["retry_after_s"] == said


def test_codes_are_stable() -> None:
    problems = [not_found(), forbidden("No."), unauthorized("No."), rate_limited(1), unavailable(), internal()]
    assert [(problem.status.value, problem.code) for problem in problems] == [
        (404, "not_found"),
        (403, "forbidden"),
        (401, "unauthorized"),
        (429, "rate_limited"),
        (503, "unavailable"),
        (500, "internal"),
    ]


@pytest.mark.parametrize("refusal", Refusal)
def test_refusal_has_one_code_on_both_sides(refusal: Refusal) -> None:
    problem = refused(refusal)
    assert problem.code == REFUSALS[refusal].code
    assert 400 <= problem.status < 600
