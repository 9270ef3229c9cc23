"""W7, events out: the whole path of W2 with a webhook that gets everything, beside the same without one.

Both nodes are over one PostgreSQL and one Redis; each has a database of its own, since a node with the webhook delivers
what any node of its database commits. They are loaded in turns, so that what the machine does meanwhile costs both the
same. A turn ends when the receiver has taken all events of it.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import product
from benchmarks.fanout import SETTLE_S
from benchmarks.load import Load
from benchmarks.measured import Measured
from benchmarks.peers.listening import ListeningServer
from benchmarks.progress import Progress
from benchmarks.result import Bound, Figure, Section, Table
from benchmarks.workloads.w2 import CHATS, LIMITED, TEXT, WARM_UP_S, WRITERS, sockets
from tests.support.servers import find_binary, free_port

ENDPOINT = "all"
SECRET = "a secret of thirty-two characters"
TAKEN_S = 60.0
"""The most that the events of a turn may take to reach the receiver."""
LOSS = 0.1
"""The share of W2's rate that events out may cost."""

_RECEIVER = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 1000000; client_max_body_size 10m; client_body_buffer_size 1m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """One load of one node. CPU is that of `seconds` and of what the events needed after it."""

    acked: int
    seconds: float
    gateway_s: float
    database_s: float
    redis_s: float
    behind: int
    """Events that the receiver had not taken when the load ended."""


@dataclass(slots=True)
class Side:
    """A node with its load, and its turns by the number of writers."""

    product: product.Product
    measured: Measured
    has_webhook: bool
    load: Load
    turns: dict[int, list[Turn]] = field(default_factory=dict)

    def figure(self, writers: int, what: str) -> Figure:
        """Microseconds of CPU a message of the `gateway`, the `database` or `redis`."""
        found = self.turns[writers]
        return Figure(tuple(getattr(turn, f"{what}_s") / max(1, turn.acked) * 1e6 for turn in found))

    def rate(self, writers: int) -> Figure:
        """Acknowledged messages a second."""
        return Figure(tuple(turn.acked / turn.seconds for turn in self.turns[writers]))


def count_steps(quick: bool) -> int:
    """Each number of writers."""
    return len(WRITERS) + 1


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure each number of writers, without and with the webhook in turns."""
    seconds, rounds = (2.0, 3) if quick else (5.0, 7)
    progress.next(f"W7: making {4 * CHATS:,} users")
    with ExitStack() as stack:
        port = stack.enter_context(_receiver(folder))
        started = stack.enter_context(product.running(folder, **LIMITED))
        hook = {"url": f"http://127.0.0.1:{port}/events", "secret": SECRET, "name": ENDPOINT}
        more = {"APP_ENV": "development", "WEBHOOKS": json.dumps([hook]), "WEBHOOK_ALLOW_PRIVATE": "true"}
        hooked = stack.enter_context(started.apart(folder / "with-webhook", **more))
        frame = product.message(TEXT)
        sides = []
        for each in (started, hooked):
            (node,) = each.nodes
            chats = each.chats([2] * CHATS)
            load_folder = folder / f"load-{node.port}"
            load_folder.mkdir()
            clients = sockets(chats, node.port, node.port)
            load = stack.enter_context(Load(clients, load_folder, prefix=product.PREFIX, message=frame))
            load.open()
            sides.append(Side(each, Measured.alone(node.pid), each is hooked, load))
        time.sleep(SETTLE_S)
        for side in sides:
            _turn(side, WARM_UP_S, CHATS)
        for writers in WRITERS:
            progress.next(f"W7: {writers} writers")
            for number in range(rounds):
                for side in sides if number % 2 == 0 else sides[::-1]:
                    side.turns.setdefault(writers, []).append(_turn(side, seconds, writers))
        for side in sides:
            side.load.shut()
    return Section("hooks", [_table(*sides)])


def _turn(side: Side, seconds: float, writers: int) -> Turn:
    before = _cpu(side)
    written = side.load.write(seconds, writers)
    behind = _behind(side)
    deadline = time.monotonic() + TAKEN_S
    while _behind(side):
        if time.monotonic() > deadline:
            raise TimeoutError("the receiver has not taken the events of the load")
        time.sleep(0.2)
    gateway_s, database_s, redis_s = (now - then for now, then in zip(_cpu(side), before, strict=True))
    return Turn(written.acked, written.seconds, gateway_s, database_s, redis_s, behind)


def _behind(side: Side) -> int:
    return side.product.waiting_events(ENDPOINT) if side.has_webhook else 0


def _cpu(side: Side) -> tuple[float, float, float]:
    return side.measured.cpu_s, side.product.database_cpu_s(), side.product.redis_cpu_s()


@contextmanager
def _receiver(folder: Path) -> Iterator[int]:
    """nginx, which answers 204; the port."""
    port = free_port()
    config = folder / "receiver.conf"
    config.write_text(_RECEIVER.format(folder=folder, port=port))
    nginx = find_binary("nginx", "/usr/sbin", "/usr/local/sbin")
    with ListeningServer([nginx, "-p", str(folder), "-e", "stderr", "-c", str(config)], folder, port):
        yield port


def _table(off: Side, on: Side) -> Table:
    rows: list[Sequence[object]] = []
    bounds = []
    for writers in WRITERS:
        for name, side in (("without", off), ("with", on)):
            rows.append(
                (
                    f"{writers:,} writers, {name}",
                    side.rate(writers),
                    *(side.figure(writers, what) for what in ("gateway", "database", "redis")),
                    max(turn.behind for turn in side.turns[writers]),
                )
            )
        pairs = zip(off.turns[writers], on.turns[writers], strict=True)
        kept = Figure(tuple((b.acked / b.seconds) / (a.acked / a.seconds) for a, b in pairs))
        what = f"rate with a webhook, of that without, {writers:,} writers"
        bounds.append(Bound(what, kept.median, 1 - LOSS, at_least=True))
    columns = ("load", "durable messages/s", "gateway CPU µs a message", "PostgreSQL's", "Redis's", "events behind")
    notes = [
        "The webhook gets every event, from nginx's 204. CPU includes what is delivered after the load's end; "
        "`events behind` is the most that was left for it. The two are loaded in turns; a bound is the median of pairs."
    ]
    return Table(f"W7: {CHATS:,} two-person chats with a webhook, and without", columns, rows, bounds, notes)
