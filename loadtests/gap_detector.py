"""The position of a listener in the log of a chat; detects gaps and duplicates."""


class Position:
    """The seq of the last received event, starting at `seq`: earlier events are ignored."""

    def __init__(self, seq: int) -> None:
        self.seq = seq

    def hear(self, seq: int) -> int:
        """The distance of this event from the expected one: 0 is right, n > 0 were lost, n < 0 is a duplicate.

        After a gap the position continues from the received event, so that one loss is reported once.
        """
        off = seq - (self.seq + 1)
        self.seq = max(self.seq, seq)
        return off
