"""Access, guest and device tokens: nothing is accepted but what our key signed, with every claim right."""

import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey

from auth.tokens.access_tokens import Claims, InvalidToken, TokenNames, Verifier
from tests.fuzz.byte_mutations import mutated
from tests.fuzz.case import Case
from tests.fuzz.targets import json_reading
from tests.fuzz.targets.json_texts import text_of, value

NOW: Final = 1_750_000_000
LEEWAY_S: Final = 30
MAX_BYTES: Final = 8192
MAX_DEPTH: Final = 32
_AUDIENCES: Final = {"at+jwt": "chat-gateway", "guest+jwt": "chat-gateway:guests", "device+jwt": "chat-gateway:devices"}
_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "at+jwt": ("username", "jti"),
    "guest+jwt": ("username", "email", "room_id"),
    "device+jwt": ("device", "sub"),
}
_SUBJECT: Final = re.compile(r"[1-9][0-9]{0,18}\Z")
OURS, OTHER, HMAC, NONE = b"ours", b"other", b"hmac", b"none"


def _key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


_KEY, _OTHER_KEY = _key(0x1234567890ABCDEF << 64), _key(0xFEDCBA0987654321 << 64)
_JWK: Final = ECKey.import_key(_KEY.public_key(), {"use": "sig", "alg": "ES256"})
KID: Final = _JWK.thumbprint()


class Jwt:
    """A case is who signs, the header, the claims, and a seed for mutations of the token (empty: none)."""

    name = "jwt"
    cpu_s = 0.5

    def __init__(self) -> None:
        self.reads = 0
        self._verifier = Verifier(self._published, TokenNames(), now=lambda: NOW, monotonic=lambda: NOW)

    async def _published(self) -> Mapping[str, Any]:
        self.reads += 1
        return {"keys": [_JWK.as_dict(private=False) | {"kid": KID}]}

    def case(self, random: Random) -> Case:
        """A token with most things right."""
        kind = random.choice(tuple(_AUDIENCES))
        header = {"alg": "ES256", "typ": kind, "kid": KID}
        claims: dict[str, Any] = {"iss": "chat-gateway", "aud": _AUDIENCES[kind], "sub": "42", "username": "ann"}
        claims |= {"iat": NOW, "exp": NOW + 60, "jti": "j", "email": "a@b.example", "room_id": "r", "device": "d"}
        if random.random() < 0.3:
            _alter(random, header)
        for _ in range(random.choice((0, 1, 1, 2))):
            _alter(random, claims)
        texts = [text_of(random, header), text_of(random, claims)]
        if random.random() < 0.2:
            at = random.randrange(2)
            texts[at] = mutated(random, texts[at], (b'"crit":["exp"],', b'"exp":1e99,', b"[[[["))
        signer = random.choice((OURS, OURS, OURS, OURS, OTHER, HMAC, NONE))
        edits = str(random.randrange(1 << 32)).encode() if random.random() < 0.3 else b""
        return signer, *texts, edits

    async def check(self, case: Case) -> None:
        """What is accepted is what the rules allow, and every rejection has a reason that does not quote the token."""
        signer, header, claims, edits = (*case, b"", b"", b"", b"")[:4]
        signed = _signed(signer, header, claims)
        token = mutated(Random(edits), signed, (b".", b"eyJ", b"=")).decode("latin-1") if edits else signed.decode()
        is_whole = token.rpartition(".")[0] == signed.decode().rpartition(".")[0] and token.count(".") == 2
        may_pass = signer == OURS and is_whole and len(token) <= MAX_BYTES
        is_odd = _is_odd(header, claims)
        may_fail = bool(edits) or is_odd
        verifiers = {
            "at+jwt": self._verifier.verify,
            "guest+jwt": self._verifier.verify_guest,
            "device+jwt": self._verifier.verify_device,
        }
        for kind, verify in verifiers.items():
            wrong = "is not signed by us" if not may_pass else _fault(kind, header, claims)
            try:
                accepted = await verify(token)
            except InvalidToken as error:
                assert len(token) < 8 or token not in str(error), "the error quotes the token"
                assert wrong or may_fail, f"a right {kind} token is rejected: {error.reason}"
                continue
            assert not wrong or (may_pass and is_odd), f"accepted as {kind}, although it {wrong}"
            if isinstance(accepted, Claims) and not is_odd:
                assert accepted.expires_at <= int(json_reading.read(claims)["exp"]) + LEEWAY_S
        assert self.reads <= 2, "unknown keys cause reads of the key set"


def _alter(random: Random, fields: dict[str, Any]) -> None:
    name = random.choice((*fields, "crit", "jku", "jwk", "x5u", "nbf", "sid", "b64"))
    if random.random() < 0.2:
        fields.pop(name, None)
        return
    near: tuple[Any, ...] = (NOW - 30, NOW - 31, NOW + 30, NOW + 31, float(NOW), str(NOW), True, "none", "HS256", "042")
    near += ("at+jwt", "AT+JWT", "chat-gateway", ["chat-gateway"], ["x", "chat-gateway"], "9223372036854775808", KID)
    fields[name] = random.choice(near) if random.random() < 0.7 else value(random)


def _signed(signer: bytes, header: bytes, claims: bytes) -> bytes:
    content = _b64(header) + b"." + _b64(claims)
    if signer == NONE:
        return content + b"."
    if signer == HMAC:  # with the public key as the secret
        mac = hashes.Hash(hashes.SHA256())
        mac.update(json.dumps(_JWK.as_dict(private=False)).encode() + content)
        return content + b"." + _b64(mac.finalize())
    key = _KEY if signer == OURS else _OTHER_KEY
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return content + b"." + _b64(r.to_bytes(32) + s.to_bytes(32))


def _b64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _is_odd(raw_header: bytes, raw_claims: bytes) -> bool:
    """Whether readers of JSON may differ, or a parameter of the header is one that the library checks."""
    try:
        header, claims = json_reading.read(raw_header), json_reading.read(raw_claims)
    except json_reading.NotJson:
        return False
    both = [header, claims]
    is_long = isinstance(header, dict) and len(header) > 3
    return is_long or not json_reading.is_plain(both) or json_reading.depth(both) > MAX_DEPTH + 1


def _fault(kind: str, raw_header: bytes, raw_claims: bytes) -> str:
    """What is wrong with a token of this kind that we signed; empty if nothing is."""
    try:
        header, claims = json_reading.read(raw_header), json_reading.read(raw_claims)
    except json_reading.NotJson:
        return "is no JSON"
    if not (isinstance(header, dict) and isinstance(claims, dict)):
        return "is no object"
    if "crit" in header or "b64" in header or (header.get("alg"), header.get("kid")) != ("ES256", KID):
        return "has another header"
    if header.get("typ") != kind:
        return "is of another type"
    audience = claims.get("aud")
    if claims.get("iss") != "chat-gateway" or _AUDIENCES[kind] not in (
        audience if isinstance(audience, list) else [audience]
    ):
        return "is of another issuer or audience"
    return _fault_of_claims(kind, claims)


def _fault_of_claims(kind: str, claims: dict[str, Any]) -> str:
    times = [claims.get("exp"), claims.get("iat"), claims.get("nbf", NOW)]
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in times):
        return "has no times"
    if times[0] + LEEWAY_S <= NOW or max(times[1:]) > NOW + LEEWAY_S:
        return "is not valid now"
    texts = [claims.get(name) for name in ("jti", *_TEXTS[kind])]
    if not all(isinstance(text, str) and text for text in texts) or not isinstance(claims.get("sub", ""), str):
        return "lacks a claim"
    if kind == "at+jwt":
        subject = claims.get("sub")
        if not isinstance(subject, str) or not _SUBJECT.match(subject) or int(subject) >= 2**63:
            return "has a bad subject"
        if not isinstance(claims.get("sid", ""), str):
            return "has a bad session"
    return ""


@asynccontextmanager
async def open_jwt() -> AsyncIterator[Jwt]:
    """The target."""
    yield Jwt()
