"""Counts commands over HTTP as those of sockets are counted: by name and outcome, with their latency."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import QueueUnavailable
from gateway.http.problems import Problem
from gateway.metrics.clients import ClientMetrics
from gateway.protocol.codes import ErrorCode
from storage.errors import StorageUnavailable


@contextmanager
def counted(metrics: ClientMetrics, command: str, started: float) -> Iterator[None]:
    """Count the command by how the block ends; if it succeeds, with its latency since `started` (`perf_counter`)."""
    try:
        yield
    except Problem as problem:
        metrics.refused("http", command, problem.code)
        raise
    except (StorageUnavailable, QueueUnavailable):
        metrics.refused("http", command, ErrorCode.UNAVAILABLE)
        raise
    metrics.handled("http", command, time.perf_counter() - started)
