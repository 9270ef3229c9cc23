"""The file for `locust -f`: options, user classes and composition. loadtests/README.md describes how to run it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import Runner, WorkerRunner
from locust.stats import RequestStats, StatsEntry

from loadtests.accounts import Accounts, TargetRefused
from loadtests.coordinator import Usher
from loadtests.crowd import Crowd
from loadtests.measure import HTTP, WS, Name
from loadtests.participants import Kind, plan
from loadtests.thresholds import Figures, Thresholds, shortcomings
from loadtests.users import Lurker, Publisher, Reconnector, RoomTalker, Seated, Talker

__all__ = ["Lurker", "Publisher", "Reconnector", "RoomTalker", "Talker"]

BROKEN_PROMISES = (
    *((WS, name) for name in (Name.GAP, Name.DUPLICATE, Name.UNACKED)),
    (HTTP, Name.LOST),
)

MOST_MEMBERS = 1000
"""The most members that one call can create a chat with."""

logger = logging.getLogger("loadtests")
logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request


def _options(parser: LocustArgumentParser) -> None:
    own = parser.add_argument_group("Chats and thresholds")

    def option(name: str, kind: Callable[[str], Any], default: Any, text: str) -> None:
        variable = f"LOAD_{name.upper().replace('-', '_')}"
        own.add_argument(f"--{name}", type=kind, default=default, env_var=variable, help=f"{text} (default: {default})")

    option("pace", _positive, 12.0, "mean seconds between a writer's messages; below 11 the target needs another limit")
    option("room-size", _room_size, 100, f"members of a room, 2 to {MOST_MEMBERS}")
    option("accounts-file", str, ".data/load-accounts.json", "where accounts are kept for the next run")
    option("max-ack-p99-ms", float, 500.0, "fail if the 99th percentile of acks is above")
    option("max-delivery-p99-ms", float, 500.0, "fail if the 99th percentile of deliveries is above")
    option("max-failure-ratio", float, 0.0, "fail if a larger share of all requests failed")


def _positive(word: str) -> float:
    if not (number := float(word)) > 0:
        raise ValueError
    return number


def _room_size(word: str) -> int:
    if not 2 <= (size := int(word)) <= MOST_MEMBERS:
        raise ValueError
    return size


def _compose(environment: Environment, runner: Runner, **_: object) -> None:
    """Create users and chats and assign seats before the run starts."""
    options = environment.parsed_options
    assert options is not None
    if not isinstance(runner, WorkerRunner):
        if not environment.host or not options.num_users:
            raise SystemExit("A load test needs --host and --users: accounts and chats are made before it starts.")
        environment.host = environment.host.rstrip("/")
        weights = dict.fromkeys(Kind, 0.0)
        for user_class in environment.user_classes:
            assert issubclass(user_class, Seated)
            weights[user_class.kind] += user_class.weight
        accounts = Accounts(environment.host, Path(options.accounts_file))
        try:
            seats = accounts.seats(plan(options.num_users, weights, options.room_size))
        except TargetRefused as error:
            raise SystemExit(f"The load test cannot begin: {error}") from None
        usher = Usher(environment, runner, seats)
        environment.events.quitting.add_listener(lambda **_: _judge(environment, usher))
    Seated.crowd = Crowd(environment, runner)


def _judge(environment: Environment, usher: Usher) -> None:
    usher.conclude()  # after Ctrl+C, when Locust stops its users only later
    options = environment.parsed_options
    assert options is not None
    thresholds = Thresholds(options.max_ack_p99_ms, options.max_delivery_p99_ms, options.max_failure_ratio)
    sentences = list(shortcomings(_figures(environment.stats), thresholds))
    for sentence in sentences:
        logger.error("Not met: %s", sentence)
    if not sentences:
        logger.info("All thresholds are met")
    environment.process_exit_code = 1 if sentences else 0


def _figures(stats: RequestStats) -> Figures:
    def line(name: str, kind: str) -> StatsEntry:
        """The entry if it exists; `stats.get` would add it to the report."""
        return stats.entries.get((name, kind)) or StatsEntry(stats, name, kind)

    ack, posted, delivery = line(Name.ACK, WS), line("message", "POST"), line(Name.DELIVERY, WS)
    return Figures(
        acks=ack.num_requests + posted.num_requests,
        ack_p99_ms=max(one.get_response_time_percentile(0.99) for one in (ack, posted)),
        deliveries=delivery.num_requests,
        delivery_p99_ms=delivery.get_response_time_percentile(0.99),
        requests=stats.total.num_requests,
        failures=stats.total.num_failures,
        broken_promises=sum(line(name, kind).num_failures for kind, name in BROKEN_PROMISES),
    )


events.init_command_line_parser.add_listener(_options)
events.init.add_listener(_compose)
