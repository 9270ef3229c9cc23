"""Where a listener stands in a chat's log: the one judge of gaps and duplicates."""


class Position:
    """The seq of the last event heard, counted from `seq`: what was stored before it is of no interest."""

    def __init__(self, seq: int) -> None:
        self.seq = seq

    def hear(self, seq: int) -> int:
        """How far this event is from the one that was due: 0 is right, n > 0 are lost, n < 0 is heard again.

        After a gap the listener goes on from what it heard, so that one loss is told once.
        """
        off = seq - (self.seq + 1)
        self.seq = max(self.seq, seq)
        return off
