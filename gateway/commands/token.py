"""`chat-gateway token`: mint access tokens for development, and say what is in a token and whether it is valid."""

import argparse
import sys
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from gateway.commands.command import Commands, add_command, add_group, prints
from gateway.errors import CommandError

if TYPE_CHECKING:
    from gateway.commands.operator.store import OpenStore

MAX_MINUTES: Final = 60 * 24 * 30
_TIMES: Final = frozenset({"iat", "nbf", "exp"})
_YEAR_10000: Final = 253_402_300_800


def add(commands: Commands) -> None:
    """Add the command."""
    token = add_command(
        commands,
        "token",
        "mint access tokens for development; show what is in a token",
        None,
        examples=["chat-gateway token mint ann", "chat-gateway token inspect < token.txt"],
    )
    actions = add_group(token)
    mint = add_command(
        actions,
        "mint",
        "print an access token of a user, in development only",
        prints(_mint),
        details="In production users log in, or your own issuer signs tokens.",
        examples=["chat-gateway token mint ann", "chat-gateway token mint ann --minutes 600"],
    )
    mint.add_argument("user", metavar="USER", help="an id, a login, or sub:… with a subject")
    mint.add_argument("--minutes", type=_minutes, metavar="N", help="lifetime (default: ACCESS_TOKEN_EXPIRE_MINUTES)")
    inspect = add_command(
        actions,
        "inspect",
        "show the claims of a token, and whether this system accepts it",
        prints(_inspect),
        details="The token may be of this system or of the issuer in the settings.",
        examples=["chat-gateway token inspect < token.txt", "chat-gateway token mint ann | chat-gateway token inspect"],
    )
    inspect.add_argument("token", nargs="?", metavar="TOKEN", help="the token (default: standard input)")


def _minutes(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= MAX_MINUTES:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MAX_MINUTES} is needed")
    return int(raw)


async def _mint(options: argparse.Namespace) -> AsyncIterator[str]:
    from gateway.auth_mount import mint_token
    from gateway.commands.operator.store import open_store

    async with open_store() as store:
        if store.settings.is_production:
            raise CommandError("Tokens are minted in development only. (APP_ENV=development allows it.)")
        person = await store.person(options.user)
        minutes = options.minutes or store.settings.access_token_expire_minutes
        yield await mint_token(store.settings, store.database, person, minutes * 60)


async def _inspect(options: argparse.Namespace) -> AsyncIterator[str]:
    from auth.tokens.access_tokens import InvalidToken
    from auth.tokens.jws import SignedToken
    from gateway.commands.operator.store import open_store, shown_time

    token = (options.token or sys.stdin.readline()).strip()
    try:
        signed = SignedToken(token)
        claims = signed.unverified_claims()
    except InvalidToken as error:
        raise CommandError(f"This is no signed token: {error.reason}.") from None
    for name, value in {**signed.header, **claims}.items():
        is_time = name in _TIMES and isinstance(value, int | float) and 0 <= value < _YEAR_10000
        yield f"{name:<12}{value}{f'  ({shown_time(value)})' if is_time else ''}"
    async with open_store() as store:
        if reason := await _reason(store, token, signed.header.get("typ"), claims):
            raise CommandError(f"The token is rejected: {reason}.")
        yield f"The token is valid for {max(0, int(claims['exp'] - time.time()))} s."


async def _reason(store: "OpenStore", token: str, kind: object, claims: dict[str, Any]) -> str:
    """Why the system rejects the token; empty if it does not."""
    from auth.tokens.access_tokens import GUEST_TYPE, InvalidToken, KeysUnavailable, Verifier
    from gateway.auth_mount import open_outside, public_keys
    from storage.repositories.revocations import Revocations

    try:
        verifier = Verifier(public_keys(store.settings, store.database))
        if not verifier.is_ours(token):
            async with open_outside(store.settings) as outside:
                if outside is None:
                    return f"its issuer is {claims.get('iss')}, and no external issuer is configured"
                await outside.verify(token)
                return ""
        if kind == GUEST_TYPE:
            await verifier.verify_guest(token)
            return ""
        verified = await verifier.verify(token)
    except InvalidToken as error:
        return error.reason.replace("_", " ")
    except KeysUnavailable:
        return "the keys of its issuer cannot be read now"
    revocations = Revocations(store.database)
    if await revocations.ban_of(verified.user_id) is not None:
        return "its user is banned"
    if verified.issued_at < await revocations.issued_before(verified.user_id, verified.jti, verified.session_id):
        return "it was revoked"
    return "it was revoked" if await revocations.has(verified.user_id, verified.jti, verified.session_id) else ""
