"""Fuzzes the positions of event streams, which come back in `Last-Event-ID`.

Another reader, which shares no code with ours, says what a text means; every position that is written is read again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from gateway.protocol.ids import UNREADABLE, Since
from gateway.protocol.stream_positions import StreamPositions, read_positions
from tests.fuzz.byte_mutations import mutated
from tests.fuzz.case import Case

_HEX: Final = frozenset("0123456789abcdef")
_NUMBERS: Final = (0, 1, 9, 10, 255, 2**31, 2**63 - 1, 2**63, 2**64 - 1, 2**64)
_PARTS: Final = (b":", b".", b"-", b"..", b"0-0", b"A-1", b"\xff-1", b"+1-1", b"1-1-1", "١-1".encode(), b"1_0-1")
_CHATS: Final = (1, 1, 2, 3, 199, 200, 201, 202, 5000)


class Positions:
    """The one piece of a case is the text, in UTF-8 if it can be; as headers, it may be in Latin-1."""

    name = "positions"
    cpu_s = 0.1

    def case(self, random: Random) -> Case:
        """An id with most things right."""
        chats = [_chat(random) for _ in range(random.choice(_CHATS))]
        epoch = random.choice(("0c1d2e3f4a5b", "0c1d2e3f4a5b", "", ":", "a:b", "é", "x" * 8000))
        text = f"{epoch}:{'.'.join(chats)}".encode()
        return (mutated(random, text, _PARTS) if random.random() < 0.6 else text,)

    async def check(self, case: Case) -> None:
        """The text means what it says, and what it means can be written and read."""
        text = _text(b"".join(case))
        found = read_positions(text)
        assert found == _meaning(text), "read otherwise"
        if found:
            epoch = text.rpartition(":")[0]
            positions = StreamPositions(found)
            for chat_id in found:
                positions.start(chat_id, 1, epoch)
            assert len(positions.id) > 8192 or read_positions(positions.id) == found, "written otherwise"


def _chat(random: Random) -> str:
    chat_id = random.choice(_NUMBERS) if random.random() < 0.02 else random.randrange(1, 10_000)
    seq = "" if random.random() < 0.1 else f"{random.choice(_NUMBERS[:7]):x}"
    return f"{chat_id:x}-{seq}"


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload.decode("latin-1")


def _meaning(text: str) -> dict[int, Since] | None:
    at = text.rfind(":")
    parts = text[at + 1 :].split(".")
    if at < 0 or len(text) > 8192 or len(parts) > 200:
        return None
    found: dict[int, Since] = {}
    for part in parts:
        numbers = part.split("-")
        if len(numbers) != 2 or not numbers[0] or any(len(one) > 16 or set(one) - _HEX for one in numbers):
            return None
        chat_id, seq = (int.from_bytes(bytes.fromhex(one.zfill(16))) for one in numbers)
        if chat_id == 0 or max(chat_id, seq) >= 2**63:
            return None
        found[chat_id] = Since(seq, text[:at]) if numbers[1] else UNREADABLE
    return found


@asynccontextmanager
async def open_positions() -> AsyncIterator[Positions]:
    """The target."""
    yield Positions()
