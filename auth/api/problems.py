"""The error responses of auth."""

from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus

from httpapi.errors import BrokenRule, Problem, retry_later, whole_seconds


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


def broken_rules(rules: Sequence[BrokenRule]) -> Problem:
    """Every rule that a request breaks, each with its field, code and sentence."""
    detail = " ".join(rule.detail for rule in rules)
    errors = [asdict(rule) for rule in rules]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_field", detail, errors=errors)


def too_many_failures(wait_s: float) -> Problem:
    """Too many failed logins; `wait_s` is rounded up to whole seconds."""
    return _later(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", "Too many failed logins.", wait_s)


def too_many_registrations(wait_s: float) -> Problem:
    """Too many registrations from one network; `wait_s` is rounded up to whole seconds."""
    return _later(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", "Too many registrations from this network.", wait_s)


def too_many_changes(wait_s: float) -> Problem:
    """Too many wrong passwords, or changes of one account; `wait_s` is rounded up to whole seconds."""
    return _later(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", "Too many attempts.", wait_s)


def wrong_password() -> Problem:
    """The current password is wrong; the token is valid, so it is no 401."""
    return Problem(HTTPStatus.FORBIDDEN, "wrong_password", "The current password is wrong.")


def otp_required(status: HTTPStatus = HTTPStatus.UNAUTHORIZED) -> Problem:
    """The password is right, and the user has a second factor."""
    return Problem(status, "otp_required", "A code of your authenticator is needed.", headers=_challenge(status))


def invalid_otp(status: HTTPStatus = HTTPStatus.UNAUTHORIZED) -> Problem:
    """The code is wrong, or used."""
    return Problem(status, "invalid_otp", "The code is wrong or was used before.", headers=_challenge(status))


def totp_enabled() -> Problem:
    """The user has a second factor; it must be removed first."""
    return Problem(HTTPStatus.CONFLICT, "totp_enabled", "A second factor is enabled already.")


def no_second_factor() -> Problem:
    """The user has no second factor, or none that waits for its confirmation."""
    return Problem(HTTPStatus.NOT_FOUND, "not_found", "There is no such second factor.")


def no_password_reset() -> Problem:
    """The operator has no hook that sends mails."""
    return Problem(HTTPStatus.FORBIDDEN, "no_password_reset", "Passwords cannot be reset on this server.")


def unknown_reset_token() -> Problem:
    """The token to reset a password does not exist, is used, or has expired."""
    return Problem(HTTPStatus.FORBIDDEN, "invalid_reset_token", "This token is used, has expired or never existed.")


def registration_closed() -> Problem:
    """The operator creates the accounts."""
    return Problem(HTTPStatus.FORBIDDEN, "registration_closed", "Registration is closed on this server.")


def unknown_invitation() -> Problem:
    """The registration has no invitation, or one that is used, expired or for another login."""
    detail = "Registration needs an invitation for this login that is neither used nor expired."
    return Problem(HTTPStatus.FORBIDDEN, "invitation_needed", detail)


def banned() -> Problem:
    """The user may not log in."""
    return Problem(HTTPStatus.FORBIDDEN, "banned", "This account is banned.")


def session_ended() -> Problem:
    """The refresh token is unknown, expired, or was used before."""
    return Problem(HTTPStatus.UNAUTHORIZED, "session_ended", "The session has ended. Log in again.")


def not_logged_in() -> Problem:
    """A logout of all sessions needs to know whose."""
    return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", "A valid token is needed.")


def no_such_session() -> Problem:
    """The user has no session with this id."""
    return Problem(HTTPStatus.NOT_FOUND, "not_found", "There is no such session.")


def too_many_calls(wait_s: float) -> Problem:
    """Too many calls of one kind from one network; `wait_s` is rounded up to whole seconds."""
    return _later(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", "Too many requests from this network.", wait_s)


def unavailable() -> Problem:
    """The database or the hashing threads cannot take this now."""
    return _later(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Not possible at the moment.", 1.0)


def _challenge(status: HTTPStatus) -> dict[str, str]:
    return {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}


def _later(status: HTTPStatus, code: str, detail: str, wait_s: float) -> Problem:
    return retry_later(status, code, f"{detail} Try again in {whole_seconds(wait_s)} s.", wait_s)
