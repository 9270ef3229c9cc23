"""The OAuth2 password grant (RFC 6749 §4.3), by Authlib's framework-neutral server.

Authlib is synchronous: its server runs in a worker thread and calls back into the event loop for the login itself.
All callers are one public client: `client_id` and `client_secret`, which some tools always send, are ignored.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.errors import InvalidGrantError  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.grants import ResourceOwnerPasswordCredentialsGrant  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped]

from auth.accounts.login import Granted, Login, LoginOutcome
from auth.accounts.password_check import Limited, WrongCredentials
from auth.accounts.second_factor import OtpRequired, WrongOtp
from auth.accounts.sessions import Banned
from auth.accounts.thread_pool import Workers
from auth.api.problems import banned, invalid_otp, otp_required, too_many_failures
from httpapi.openapi import FORM_LOGIN

PATH: Final = FORM_LOGIN
THREADS: Final = 8  # each waits for one login, most of the time for its turn at hashing
WAITING: Final = 256

# The grant logs usernames and issued tokens at DEBUG.
logging.getLogger(ResourceOwnerPasswordCredentialsGrant.__module__).addFilter(lambda _: False)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """The response of the token endpoint: a token (RFC 6749 §5.1) or an error (§5.2)."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _FormLogin:
    form: Mapping[str, str]
    authenticate: Callable[[str, str, str], LoginOutcome]


class TokenEndpoint:
    """Responds to forms; `close` releases its threads."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._server = _Server()
        self._workers = Workers("oauth2", threads=THREADS, waiting=WAITING)

    async def answer(self, form: Mapping[str, str], address: str) -> TokenAnswer:
        """A token, or why there is none.

        Raises: Problem (429), StorageUnavailable, Overloaded.
        """
        loop = asyncio.get_running_loop()

        def authenticate(username: str, password: str, otp: str) -> LoginOutcome:
            attempt = self._login.attempt(username, password, address, otp=otp)
            # Without a timeout of its own: every step of a login has one.
            return asyncio.run_coroutine_threadsafe(attempt, loop).result()

        def answer() -> TokenAnswer:
            answer: TokenAnswer = self._server.create_token_response(_FormLogin(form, authenticate))
            return answer

        return await self._workers.run(answer)

    def close(self) -> None:
        """Release the threads; does not block."""
        self._workers.close()


class _PublicClient:
    """Every caller: a public client that may use the password grant only."""

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "none"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "password"


class _Request(OAuth2Request):  # type: ignore[misc]
    def __init__(self, attempt: _FormLogin) -> None:
        # The deployment decides about TLS: with an http URI, Authlib would reject the plain HTTP of a proxy.
        super().__init__("POST", f"https://localhost{PATH}")
        # Seed 000's clients leave out the grant's name.
        self.payload = BasicOAuth2Payload({"grant_type": "password", **attempt.form})
        self.authenticate = attempt.authenticate

    @property
    def form(self) -> dict[str, str]:
        form: dict[str, str] = self.payload.data
        return form


class _PasswordGrant(ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: Final = ["none"]

    def authenticate_user(self, username: str, password: str) -> Granted:
        outcome: LoginOutcome = self.request.authenticate(username, password, self.request.form.get("otp", ""))
        match outcome:
            case Granted() as granted:
                return granted
            case Limited(wait_s):
                raise too_many_failures(wait_s)
            case Banned():
                raise banned()
            case OtpRequired():
                raise otp_required()
            case WrongOtp():
                raise invalid_otp()
            case WrongCredentials():
                raise InvalidGrantError("The username or the password is wrong.")


class _Server(AuthorizationServer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.register_grant(_PasswordGrant)
        self.register_client_auth_method("none", lambda query_client, request: _PublicClient())
        self.register_token_generator("default", self._token)

    def create_oauth2_request(self, request: _FormLogin) -> _Request:
        return _Request(request)

    def handle_response(self, status: int, body: dict[str, Any], headers: object) -> TokenAnswer:
        return TokenAnswer(status, body)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Authlib's signals have no listeners here."""

    def save_token(self, token: object, request: object) -> None:
        """Access tokens are not stored: their signature suffices."""

    def _token(self, *, user: Granted, **_: object) -> dict[str, Any]:
        tokens = user.tokens
        return {"access_token": tokens.access_token, "token_type": "bearer", "expires_in": tokens.expires_in_s}
