"""Every HTTP answer of auth that is not success."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus

from auth.problem import Problem
from auth.rules import BrokenRule


def wrong_credentials() -> Problem:
    """The same for an unknown login and for a wrong password."""
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "invalid_credentials",
        "The login or the password is wrong.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def login_taken() -> Problem:
    """Another account has the login."""
    return Problem(HTTPStatus.CONFLICT, "login_taken", "This login is taken.")


def service_key_needed() -> Problem:
    """What the caller wants is for services of the operator's."""
    return Problem(HTTPStatus.FORBIDDEN, "forbidden", "A service key is needed (X-Service-Key).")


def broken_rules(rules: Sequence[BrokenRule]) -> Problem:
    """Every rule that a request breaks, each with its field, code and sentence."""
    detail = " ".join(rule.detail for rule in rules)
    errors = [asdict(rule) for rule in rules]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_field", detail, errors=errors)


def rate_limited(wait_s: float) -> Problem:
    """Too many failed logins; `wait_s` is rounded up to whole seconds."""
    return _later(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", "Too many failed logins.", wait_s)


def unavailable() -> Problem:
    """The database or the hashing threads cannot take this now."""
    return _later(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Not possible at the moment.", 1.0)


def _later(status: HTTPStatus, code: str, detail: str, wait_s: float) -> Problem:
    seconds = max(1, math.ceil(wait_s))
    headers = {"Retry-After": str(seconds)}
    return Problem(status, code, f"{detail} Try again in {seconds} s.", headers=headers, retry_after_s=seconds)
