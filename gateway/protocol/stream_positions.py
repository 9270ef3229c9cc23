"""The position of an event stream in all of its chats, as the `id` of its events: `<epoch>:<chat>-<seq>.<chat>-<seq>…`.

Ids and seqs are in hexadecimal digits. The browser sends the last `id` back in `Last-Event-ID`, so that any node
resumes the stream. A chat whose seq belongs to an earlier epoch is written without a seq: on resume the client receives
a Reset, never a wrong page.
"""

import re
from collections.abc import Mapping
from typing import Final

from gateway.protocol.ids import UNREADABLE, Since, is_id, is_seq

MAX_CHATS: Final = 200
"""The most chats of a stream: with the longest numbers an id has 6.9 kB, and proxies allow headers of 8 kB."""
MAX_LENGTH: Final = 8 * 1024
"""The longest id that is read, in characters."""
_CHAT: Final = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{0,16})")


class StreamPositions:
    """Advances with each event that is written; `since` is where the stream starts, by chat."""

    def __init__(self, since: Mapping[int, Since]) -> None:
        self._since = dict(since)
        self._seqs: dict[int, str] = {}
        self._epoch = ""

    @property
    def id(self) -> str:
        """The `id` of the event that was just written."""
        return f"{self._epoch}:{'.'.join(self._seqs.values())}"

    def start(self, chat_id: int, last_seq: int, epoch: str) -> None:
        """The subscription is established; without a `since` the stream starts after `last_seq`."""
        since = self._since.pop(chat_id, None)
        if since is None:
            self.reset(chat_id, last_seq, epoch)
        else:
            self._enter(epoch)
            self._set(chat_id, since.seq if since.epoch in (None, epoch) else None)

    def reset(self, chat_id: int, seq: int, epoch: str) -> None:
        """The chat continues after `seq` of this epoch."""
        self._enter(epoch)
        self._set(chat_id, seq)

    def move(self, chat_id: int, seq: int) -> None:
        """The event with this seq was written."""
        self._set(chat_id, seq)

    def _enter(self, epoch: str) -> None:
        if epoch == self._epoch:
            return
        self._epoch = epoch
        for chat_id in self._seqs:
            self._set(chat_id, None)
        for chat_id, since in self._since.items():  # not established yet, but part of the position
            self._set(chat_id, since.seq if since.epoch in (None, epoch) else None)

    def _set(self, chat_id: int, seq: int | None) -> None:
        self._seqs[chat_id] = f"{chat_id:x}-" if seq is None else f"{chat_id:x}-{seq:x}"


def read_positions(text: str) -> dict[int, Since] | None:
    """The position of each chat in an `id`; None if it is not valid. Never raises, and takes linear time."""
    epoch, colon, chats = text.rpartition(":")
    if len(text) > MAX_LENGTH or not colon or chats.count(".") >= MAX_CHATS:
        return None
    positions: dict[int, Since] = {}
    for part in chats.split("."):
        fields = _CHAT.fullmatch(part)
        if fields is None:
            return None
        chat_id, seq = int(fields[1], 16), int(fields[2] or "0", 16)
        if not is_id(chat_id) or not is_seq(seq):
            return None
        positions[chat_id] = Since(seq, epoch) if fields[2] else UNREADABLE
    return positions
