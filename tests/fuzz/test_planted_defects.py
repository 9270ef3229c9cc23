"""Each target finds defects that are planted in the code that it tests, within a fraction of its minute."""

import codecs
from collections.abc import Callable
from typing import Any

import pytest

import gateway.redis.presence.table as seat_table
import gateway.transport.fragments as fragments
import gateway.transport.frame_reader as frame_reader
import gateway.transport.http_protocol as http_protocol
import httpapi.body as body
import httpapi.bounded_json as bounded_json
from auth.errors import InvalidToken, InvalidTokenReason
from auth.tokens.jws import Required, SignedToken
from gateway.protocol import stream_positions, validation
from gateway.redis.connection.prefixed import Prefixed
from gateway.transport.direct_connection import DirectConnection
from gateway.transport.http_protocol import HttpProtocol
from gateway.transport.incoming import Incoming
from tests.fuzz.campaign import run
from tests.fuzz.target_list import TARGETS

SECONDS = 30.0
Plant = Callable[[pytest.MonkeyPatch], None]


class _Lenient(codecs.IncrementalDecoder):
    """Never finds that a text ends within a character."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def decode(self, payload: Any, final: bool = False) -> str:
        return self._decoder.decode(payload)


def _final_utf8_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fragments, "_new_decoder", _Lenient)


def _utf8_check_of_whole_messages(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fragments, "_is_utf8", lambda _: True)


def _minimal_length_check(patch: pytest.MonkeyPatch) -> None:
    sound = frame_reader._frame_size

    def lenient(data: bytes, at: int) -> int:
        size = sound(data, at)
        if size != frame_reader._BAD:
            return size
        width = 2 if data[at + 1] & 0x7F == 126 else 8
        mask = 4 if data[at + 1] & 0x80 else 0
        return 2 + width + mask + int.from_bytes(data[at + 2 : at + 2 + width])

    patch.setattr(frame_reader, "_frame_size", lenient)


def _message_size_check(patch: pytest.MonkeyPatch) -> None:
    sound = fragments.Fragments.__init__
    patch.setattr(fragments.Fragments, "__init__", lambda self, _: sound(self, 1 << 40))


def _order_of_portions(patch: pytest.MonkeyPatch) -> None:
    sound = frame_reader.FrameReader.messages
    patch.setattr(frame_reader.FrameReader, "messages", lambda *args: (sound(*args) or [])[::-1] or None)


def _delivery_of_held_messages(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DirectConnection, "deliver_held", lambda connection: None)


def _resumption_of_reading(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Incoming, "resume_after_queueing", lambda incoming: None)


def _depth_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bounded_json, "_may_be_too_deep", lambda _: False)


def _linear_search(patch: pytest.MonkeyPatch) -> None:
    sound = bounded_json.has_lone_surrogate

    def slow(payload: bytes) -> bool:
        return any(payload[at:].startswith(b"~~") for at in range(len(payload)) for _ in range(5)) or sound(payload)

    patch.setattr("gateway.dialects.command_decoder.has_lone_surrogate", slow)


def _nul_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(validation, "_is_encodable", lambda _: True)
    patch.setattr("gateway.dialects.command_decoder.check_client_msg_id", lambda value: isinstance(value, str))


def _signature_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SignedToken, "signed_by", lambda token, key, algorithm: token.unverified_claims())


def _expiry_of_tokens(patch: pytest.MonkeyPatch) -> None:
    sound = Required.check

    def check(required: Required, claims: dict[str, Any]) -> None:
        try:
            sound(required, claims)
        except InvalidToken as error:
            if error.reason is not InvalidTokenReason.EXPIRED:
                raise

    patch.setattr(Required, "check", check)


def _repeated_fields_check(patch: pytest.MonkeyPatch) -> None:
    sound = body.parse_qsl
    patch.setattr(body, "parse_qsl", lambda *args, **named: list(dict(sound(*args, **named)).items()))


def _media_type_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(body, "_require_type", lambda request, wanted: None)


def _namespace(patch: pytest.MonkeyPatch) -> None:
    for name in ("call", "send", "run_script"):
        patch.setattr(Prefixed, name, lambda own, *words, name=name: getattr(own._link, name)(*words))


def _expiry_of_seats(patch: pytest.MonkeyPatch) -> None:
    source = seat_table._ENTER.source.replace(b"redis.call('EXPIRE', KEYS[1], ARGV[8])", b"")
    patch.setattr(seat_table._ENTER, "source", source)
    patch.setattr(seat_table._ENTER, "sha", "0" * 40)


def _host_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HttpProtocol, "on_headers_complete", HttpProtocol.__bases__[0].on_headers_complete)


def _order_of_errors(patch: pytest.MonkeyPatch) -> None:
    def send(http: HttpProtocol, text: str) -> None:
        http.transport.write(http_protocol._BAD_REQUEST % (len(text), text.encode()))
        http.transport.close()

    patch.setattr(HttpProtocol, "send_400_response", send)


def _ignored_upgrades(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HttpProtocol, "_is_upgrade_ignored", lambda http: False)
    patch.setattr(HttpProtocol, "_unsupported_upgrade_warning", lambda http: None)


def _number_of_chats(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stream_positions, "MAX_CHATS", 201)


def _range_of_ids(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stream_positions, "is_id", lambda _: True)


DEFECTS: list[tuple[str, Plant]] = [
    ("frames", _final_utf8_check),
    ("frames", _utf8_check_of_whole_messages),
    ("frames", _minimal_length_check),
    ("frames", _message_size_check),
    ("frames", _order_of_portions),
    ("paused-frames", _delivery_of_held_messages),
    ("queued-frames", _resumption_of_reading),
    ("dialects", _depth_check),
    ("dialects", _linear_search),
    ("dialects", _nul_check),
    ("jwt", _signature_check),
    ("jwt", _expiry_of_tokens),
    ("forms", _repeated_fields_check),
    ("forms", _media_type_check),
    ("lua", _namespace),
    ("lua", _expiry_of_seats),
    ("positions", _number_of_chats),
    ("positions", _range_of_ids),
    ("http", _host_check),
    ("http", _order_of_errors),
    ("http", _ignored_upgrades),
]


@pytest.mark.parametrize(("name", "plant"), DEFECTS, ids=[plant.__name__.strip("_") for _, plant in DEFECTS])
async def test_planted_defect_is_found(name: str, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    async with TARGETS[name]() as target:
        plant(monkeypatch)
        report = await run(target, 1, SECONDS, minimising_s=0)
    assert report.failure is not None, report
