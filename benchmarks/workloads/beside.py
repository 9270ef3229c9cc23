"""The table of a load that the gateway and Centrifugo get in turns."""

from collections.abc import Sequence

from benchmarks.peers import centrifugo
from benchmarks.result import Bound, Table


def beside_centrifugo(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], bounds: Sequence[Bound], cpu: str
) -> Table:
    """The figures of both; `cpu` says which CPU time is compared, and why it differs."""
    notes = [
        f"{cpu} A ratio is the median of the pairs of turns.",
        f"**{centrifugo.NAME}:** {centrifugo.CHAT_SETTINGS}",
    ]
    return Table(title, columns, rows, bounds, notes)


def without_centrifugo(title: str) -> Table:
    """The table of a machine on which it is not installed."""
    return Table(title, (), (), notes=[f"{centrifugo.NAME}: not measured, {centrifugo.missing()}."])
