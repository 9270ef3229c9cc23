"""Who calls: the access token of a request to auth, and whether another site's page may be behind it."""

from http import HTTPStatus

from starlette.requests import Request

from auth.accounts.sessions import Sessions
from auth.api import problems
from auth.errors import InvalidToken
from auth.tokens.access_tokens import Claims, Verifier
from httpapi.audit.facts import note, note_user
from httpapi.errors import Problem, forbidden_origin
from httpapi.operation import TOKEN_PARAMETER
from httpapi.token_cookie import COOKIE, cookies_named, token_cookies


class Callers:
    """Finds the user of a request by our own access tokens."""

    def __init__(self, sessions: Sessions, verifier: Verifier) -> None:
        self._sessions = sessions
        self._verifier = verifier

    async def find(self, request: Request) -> Claims | None:
        """The claims of the request's access token; None without one that is valid and not revoked.

        Raises: Problem (400 for two different tokens), StorageUnavailable, KeysUnavailable.
        """
        for token in _tokens(request):
            try:
                claims = await self._verifier.verify(token)
            except InvalidToken:
                continue
            if await self._sessions.is_in_effect(claims):
                return claims
        return None

    async def require(self, request: Request) -> Claims:
        """The claims of a caller who may change its account.

        Raises: Problem (400, 401, 403 for a page of another site or a banned user), and as `find`.
        """
        if may_be_cross_site(request, COOKIE):
            raise forbidden_origin()
        claims = await self.find(request)
        if claims is None:
            raise problems.not_logged_in()
        if await self._sessions.is_banned(claims.user_id):
            raise problems.banned()
        note_user(claims.user_id)
        note(user_id=claims.user_id)
        return claims


def may_be_cross_site(request: Request, cookie: str) -> bool:
    """With the cookie, a browser's POST names its origin; a navigation from another site is refused with or without.

    Origins are compared before any route: by a gateway's middleware, or by `auth.app.KnownOrigins`.
    """
    if request.headers.get("sec-fetch-site") == "cross-site" and request.headers.get("sec-fetch-mode") == "navigate":
        return True
    return bool(cookies_named(request, cookie)) and not _explicit_tokens(request) and "origin" not in request.headers


def _tokens(request: Request) -> tuple[str, ...]:
    explicit = _explicit_tokens(request)
    if len(explicit) > 1:
        raise Problem(HTTPStatus.BAD_REQUEST, "ambiguous_token", "Two different tokens were given.")
    return explicit or token_cookies(request)


def _explicit_tokens(request: Request) -> tuple[str, ...]:
    """The tokens that the client sent deliberately, each once; a browser attaches cookies by itself."""
    pairs = [value.partition(" ") for value in request.headers.getlist("authorization")]
    headers = [token.strip() for scheme, _, token in pairs if scheme.lower() == "bearer"]
    return tuple(dict.fromkeys(token for token in (*headers, *request.query_params.getlist(TOKEN_PARAMETER)) if token))
