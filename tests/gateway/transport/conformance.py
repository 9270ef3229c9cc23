"""What RFC 6455 asks of a server, as a table: bytes in, frames out. Any echo server can be held against it.

`run` needs an address only, so that the table serves another implementation too, or a proxy in front of one. A case
that ends open is probed with a PING and closed by us. The section in a case's comment is the RFC's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tests.gateway.transport.utf8_samples import BAD, GOOD
from tests.gateway.transport.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, RawClient, Received, close, frame

MAX_MESSAGE: Final = 65_536
MAX_FRAGMENTS: Final = 1024
OPEN: Final = frozenset[int | None]()
"""The connection goes on."""


@dataclass(frozen=True)
class Case:
    """`sends`, one write each, bring exactly `expects`, then a CLOSE with one of the codes `closes` (None: empty)."""

    name: str
    sends: tuple[bytes, ...]
    expects: tuple[Received, ...] = ()
    closes: frozenset[int | None] = OPEN


def _text(payload: bytes) -> Received:
    return Received(TEXT, payload)


def _codes(*codes: int | None) -> frozenset[int | None]:
    return frozenset(codes)


PROTOCOL_ERROR: Final = _codes(1002)
INVALID_DATA: Final = _codes(1007)
TOO_BIG: Final = _codes(1009)
TOO_MANY: Final = _codes(1008, 1009)

_HI: Final = frame(TEXT, b"hi")
_ECHO: Final = _text(b"hi")
_GREEK: Final = "κόσμε 🌍".encode()
_FULL: Final = b"*" * MAX_MESSAGE
_BINARY_FULL: Final = Received(BINARY, _FULL)
_PROBE: Final = Received(PONG, b"probe")
_PART: Final = frame(TEXT, b"part", fin=False)


def _pieces(data: bytes, size: int = 1) -> tuple[bytes, ...]:
    return tuple(data[at : at + size] for at in range(0, len(data), size))


def _fragments(opcode: int, payload: bytes, size: int) -> tuple[bytes, ...]:
    """A message in frames of `size` bytes."""
    first, *others = _pieces(payload, size)
    frames = [frame(opcode, first, fin=False), *(frame(CONT, part, fin=False) for part in others[:-1])]
    return (*frames, frame(CONT, others[-1]))


def _sizes() -> list[Case]:
    sizes, kinds = (1, 125, 126, 127, 128, 65_535, MAX_MESSAGE), {"text": (TEXT, b"*"), "binary": (BINARY, b"\xfe")}
    return [
        Case(f"a {name} of {size} bytes", (frame(opcode, byte * size),), (Received(opcode, byte * size),))
        for name, (opcode, byte) in kinds.items()
        for size in sizes
    ]


MESSAGES = [
    *_sizes(),
    Case("an empty text", (frame(TEXT),), (_text(b""),)),
    Case("an empty binary", (frame(BINARY),), (Received(BINARY, b""),)),
    Case("a text beyond ASCII", (frame(TEXT, _GREEK),), (_text(_GREEK),)),
    Case("a binary that is not UTF-8", (frame(BINARY, b"\xff\x00\xfe"),), (Received(BINARY, b"\xff\x00\xfe"),)),
    Case("a mask of zeros", (frame(TEXT, b"hi", mask=bytes(4)),), (_ECHO,)),
    Case("one byte a write", _pieces(frame(TEXT, _GREEK)), (_text(_GREEK),)),
    Case("the largest text, 997 bytes a write", _pieces(frame(TEXT, _FULL), 997), (_text(_FULL),)),
    Case("three of the largest, cut elsewhere", _pieces(frame(TEXT, _FULL) * 3, 50_000), (_text(_FULL),) * 3),
    Case(
        "500 texts in one write",
        (b"".join(frame(TEXT, b"%d" % number) for number in range(500)),),
        tuple(_text(b"%d" % number) for number in range(500)),
    ),
]

FRAGMENTS = [  # §5.4
    Case("a text in two fragments", (frame(TEXT, b"h", fin=False), frame(CONT, b"i")), (_ECHO,)),
    Case("a binary in two", (frame(BINARY, b"\xff", fin=False), frame(CONT)), (Received(BINARY, b"\xff"),)),
    Case("three empty fragments", (frame(TEXT, fin=False), frame(CONT, fin=False), frame(CONT)), (_text(b""),)),
    Case(
        "as many fragments as are allowed",
        (frame(TEXT, b"a", fin=False) + frame(CONT, b"a", fin=False) * (MAX_FRAGMENTS - 2) + frame(CONT, b"a"),),
        (_text(b"a" * MAX_FRAGMENTS),),
    ),
    Case(
        "the largest message in two, a PING between them",
        (frame(TEXT, _FULL[:-1], fin=False), frame(PING, b"p" * 125), frame(CONT, b"*")),
        (Received(PONG, b"p" * 125), _text(_FULL)),
    ),
    Case(
        "a character split between fragments",
        (frame(TEXT, _GREEK[:1], fin=False), frame(CONT, _GREEK[1:])),
        (_text(_GREEK),),
    ),
    *[
        Case(f"the largest message in fragments of {size} bytes", _fragments(BINARY, _FULL, size), (_BINARY_FULL,))
        for size in (64, 1300, 32_768)
    ],
    Case(
        "five fragments with pings between them, one byte a write",
        _pieces(frame(PING, b"1").join(_fragments(TEXT, b"fives", 1))),
        (Received(PONG, b"1"),) * 4 + (_text(b"fives"),),
    ),
    Case(
        "fragments of two messages",
        _fragments(TEXT, b"ab", 1) + _fragments(TEXT, b"cd", 1),
        (_text(b"ab"), _text(b"cd")),
    ),
    Case("an open continuation of nothing", (frame(CONT, b"x", fin=False), _HI), (), PROTOCOL_ERROR),
    Case("a continuation of nothing", (frame(CONT, b"x"),), (), PROTOCOL_ERROR),
    Case("a continuation of a whole message", (_HI, frame(CONT, b"x")), (_ECHO,), PROTOCOL_ERROR),
    Case("a text within a text", (_PART, _HI), (), PROTOCOL_ERROR),
    Case("a binary within a text", (_PART, frame(BINARY, b"x")), (), PROTOCOL_ERROR),
    Case("endless empty fragments", (_PART + frame(CONT, fin=False) * 5000,), (), TOO_MANY),
]

CONTROL = [  # §5.5
    Case("an empty ping", (frame(PING),), (Received(PONG, b""),)),
    Case("a ping of 125 bytes", (frame(PING, b"\xff" * 125),), (Received(PONG, b"\xff" * 125),)),
    Case(
        "three pings in one write",
        (frame(PING, b"1") + frame(PING, b"2") + frame(PING, b"3"),),
        (Received(PONG, b"1"), Received(PONG, b"2"), Received(PONG, b"3")),
    ),
    Case("a ping of 125 bytes, one byte a write", _pieces(frame(PING, b"p" * 125)), (Received(PONG, b"p" * 125),)),
    Case(
        "ten pings, one byte a write",
        _pieces(b"".join(frame(PING, b"%d" % number) for number in range(10))),
        tuple(Received(PONG, b"%d" % number) for number in range(10)),
    ),
    Case("unsolicited pongs", (frame(PONG), frame(PONG, b"x" * 125), _HI), (_ECHO,)),
    Case("a ping within a message", (_PART, frame(PING, b"p"), frame(CONT)), (Received(PONG, b"p"), _text(b"part"))),
    Case("a pong within a message", (_PART, frame(PONG, b"p"), frame(CONT)), (_text(b"part"),)),
    Case("a ping of 126 bytes", (frame(PING, b"x" * 126),), (), PROTOCOL_ERROR),
    Case("a pong of 126 bytes", (frame(PONG, b"x" * 126),), (), PROTOCOL_ERROR),
    Case("a close of 126 bytes", (frame(CLOSE, b"\x03\xe8" + b"x" * 124),), (), PROTOCOL_ERROR),
    Case("a fragmented ping", (frame(PING, b"x", fin=False),), (), PROTOCOL_ERROR),
    Case("a fragmented pong", (frame(PONG, b"x", fin=False),), (), PROTOCOL_ERROR),
    Case("a fragmented close", (frame(CLOSE, b"\x03\xe8", fin=False),), (), PROTOCOL_ERROR),
]

HEADERS = [  # §5.2
    *[Case(f"opcode {opcode:#x}", (frame(opcode),), (), PROTOCOL_ERROR) for opcode in (3, 4, 5, 6, 7)],
    *[Case(f"opcode {opcode:#x}", (frame(opcode),), (), PROTOCOL_ERROR) for opcode in (11, 12, 13, 14, 15)],
    *[Case(f"reserved bits {rsv:03b}", (frame(TEXT, b"x", rsv=rsv),), (), PROTOCOL_ERROR) for rsv in range(1, 8)],
    Case("reserved bits on a ping", (frame(PING, b"x", rsv=4),), (), PROTOCOL_ERROR),
    Case("reserved bits on a close", (frame(CLOSE, b"\x03\xe8", rsv=1),), (), PROTOCOL_ERROR),
    Case("no mask", (frame(TEXT, b"hi", mask=None),), (), PROTOCOL_ERROR),
    Case("a ping without a mask", (frame(PING, b"hi", mask=None),), (), PROTOCOL_ERROR),
    Case(
        "reserved bits after a text, one byte a write",
        _pieces(_HI + frame(TEXT, b"x", rsv=4)),
        (_ECHO,),
        PROTOCOL_ERROR,
    ),
    Case("opcode 0x5 after a text, one byte a write", _pieces(_HI + frame(5)), (_ECHO,), PROTOCOL_ERROR),
    Case("opcode 0xd after a text, one byte a write", _pieces(_HI + frame(13)), (_ECHO,), PROTOCOL_ERROR),
    Case("a bad frame after a good one, in one write", (_HI + frame(3),), (_ECHO,), PROTOCOL_ERROR),
    Case("a bad frame before a good one, in one write", (frame(3) + _HI,), (), PROTOCOL_ERROR),
    Case(
        "a ping, a text and a bad frame",
        (frame(PING, b"p") + _HI + frame(3),),
        (_ECHO, Received(PONG, b"p")),
        PROTOCOL_ERROR,
    ),
    Case("64 bits of length, the highest set", (frame(BINARY, size=1 << 63, size_bytes=8),), (), _codes(1002, 1009)),
]

LENIENT = [  # §5.2 asks the sender for the shortest length; to refuse another is right, and to take it does no harm
    Case("16 bits for 2 bytes", (frame(TEXT, b"hi", size_bytes=2),), (_ECHO,), PROTOCOL_ERROR),
    Case("64 bits for 2 bytes", (frame(TEXT, b"hi", size_bytes=8),), (_ECHO,), PROTOCOL_ERROR),
    Case("64 bits for 126 bytes", (frame(TEXT, b"a" * 126, size_bytes=8),), (_text(b"a" * 126),), PROTOCOL_ERROR),
]
"""Either the message comes back, or the close."""

STILL_SENDING = Case("a frame that is a megabyte", (frame(TEXT, b"x" * (1 << 20)),), (), TOO_BIG)
"""Much of it is unread when the answer comes. A proxy may give up the client then, and not pass the answer on."""

SIZES = [
    Case("a frame that declares a byte too much", (frame(TEXT, size=MAX_MESSAGE + 1),), (), TOO_BIG),
    Case("a frame that declares 4 GiB", (frame(BINARY, size=1 << 32),), (), TOO_BIG),
    STILL_SENDING,
    Case("a byte too much in the second fragment", (frame(TEXT, _FULL, fin=False), frame(CONT, b"*")), (), TOO_BIG),
    Case("too much in many fragments", (frame(TEXT, b"x" * 1000, fin=False), frame(CONT, b"x" * 1000, fin=False) * 80),
         (), TOO_BIG),
    Case("a full message after a full one", (frame(TEXT, _FULL), frame(TEXT, _FULL)), (_text(_FULL), _text(_FULL))),
]  # fmt: skip


UTF8 = [  # §8.1
    Case("every edge of what is right", tuple(frame(TEXT, sample) for sample in GOOD), tuple(map(_text, GOOD))),
    Case("the same in fragments of a byte", _fragments(TEXT, b"".join(GOOD), 1), (_text(b"".join(GOOD)),)),
    *[Case(f"text of {name}", (frame(TEXT, sample),), (), INVALID_DATA) for name, sample in BAD.items()],
    *[
        Case(f"fragments of {name}", _fragments(TEXT, sample + b" " * 2, 1), (), INVALID_DATA)
        for name, sample in BAD.items()
    ],
    Case("bad text in a first fragment, at once", (frame(TEXT, b"\xff", fin=False),), (), INVALID_DATA),
    Case("bad text in a second fragment, at once", (_PART, frame(CONT, b"\xf4\x90", fin=False)), (), INVALID_DATA),
    Case("a split surrogate", (frame(TEXT, b"\xed", fin=False), frame(CONT, b"\xa0\x80", fin=False)), (), INVALID_DATA),
    Case("a character that the last fragment leaves open", (_PART, frame(CONT, b"\xce")), (), INVALID_DATA),
]

_VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
_INVALID_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)

CLOSES = [  # §5.5.1, §7.4
    Case("an empty close", (close(),), (), _codes(None)),
    *[Case(f"close {code}", (close(code, b"bye"),), (), _codes(code)) for code in _VALID_CODES],
    *[Case(f"close {code}", (close(code),), (), PROTOCOL_ERROR) for code in _INVALID_CODES],
    Case("a close of one byte", (frame(CLOSE, b"\x03"),), (), PROTOCOL_ERROR),
    Case("a close with the longest reason", (close(1000, b"r" * 123),), (), _codes(1000)),
    Case("a close whose reason is not UTF-8", (close(1000, b"\xff"),), (), INVALID_DATA),
    Case("a close within a message", (_PART, close(1000)), (), _codes(1000)),
    Case("a close after a text, in one write", (_HI + close(1000),), (_ECHO,), _codes(1000)),
    Case("a ping, a text and a close in one write", (frame(PING, b"p") + _HI + close(1000),),
         (_ECHO, Received(PONG, b"p")), _codes(1000)),
    Case("a text after the close", (close(1000) + _HI,), (), _codes(1000)),
    Case("a ping after the close", (close(1000) + frame(PING),), (), _codes(1000)),
    Case("a second close after the close", (close(1000) + close(1001),), (), _codes(1000)),
    Case("rubbish after the close", (close(1000) + b"\xff" * 100,), (), _codes(1000)),
]  # fmt: skip

CASES = [*MESSAGES, *FRAGMENTS, *CONTROL, *HEADERS, *SIZES, *UTF8, *CLOSES]


async def run(case: Case, port: int, path: str = "/", *, at_once: bool = True) -> None:
    """Raises AssertionError if the server does otherwise.

    Not `at_once`: the application answers later, so that a close may come before answers to what was sent ahead of it.
    """
    received = await _converse(case, port, path)
    # A pong may come before or after an answer to what was sent with its ping; each kind keeps its order.
    pongs, answers = _split(one for one in received if one.opcode != CLOSE)
    expected_pongs, expected = _split(case.expects)
    if case.closes and not at_once:
        expected = expected[: len(answers)]
    assert pongs == expected_pongs
    assert answers == expected
    _check_close(received, case.closes or _codes(1000))


async def run_lenient(case: Case, port: int, path: str = "/") -> None:
    """For the cases that may be taken or refused."""
    received = await _converse(Case(case.name, case.sends, case.expects), port, path)
    was_taken = received[: len(case.expects)] == list(case.expects)
    _check_close(received, _codes(1000) if was_taken else case.closes)


async def _converse(case: Case, port: int, path: str) -> list[Received]:
    """Everything the server sends up to its end of the stream."""
    async with await RawClient.open(port, path) as client:
        await client.send(*case.sends)
        received: list[Received] = []
        if not case.closes:
            await client.send(frame(PING, _PROBE.payload))
            # The probe's answer may overtake the application's.
            while _PROBE not in received or len(received) <= len(case.expects):
                one = await client.read()
                if one is None or one.opcode == CLOSE:
                    return [*received, one] if one else received
                received.append(one)
            received.remove(_PROBE)
            await client.send(close(1000))
        return received + await client.read_all()


def _check_close(received: list[Received], codes: frozenset[int | None]) -> None:
    assert [one.opcode for one in received].count(CLOSE) == 1, "one CLOSE"
    assert received[-1].opcode == CLOSE, "nothing follows a CLOSE"
    assert received[-1].code in codes
    received[-1].payload[2:].decode()


def _split(frames: Iterable[Received]) -> tuple[list[Received], list[Received]]:
    """Pongs, and the others."""
    frames = list(frames)
    return [one for one in frames if one.opcode == PONG], [one for one in frames if one.opcode != PONG]
