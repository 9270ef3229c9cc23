"""Our counters and histograms are exposed as those of prometheus_client would be."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, disable_created_metrics, enable_created_metrics, generate_latest
from prometheus_client import Counter as TheirCounter
from prometheus_client import Histogram as TheirHistogram
from prometheus_client.registry import DuplicateTimeseries

from gateway.metrics.counters import CounterFamily, HistogramFamily, counter, histogram

BUCKETS = (0.0005, 0.5, 1, 200)
VALUES = (0.0, 0.0005, 0.00051, 0.5, 1.0, 7.5, 200.0, 200.1)  # on the bounds, between them and above all


@pytest.fixture(autouse=True)
def _without_created() -> Iterator[None]:
    """Let theirs have no `_created` gauge beside each counter, as ours have none."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    yield
    enable_created_metrics()  # type: ignore[no-untyped-call]


def test_exposition_is_that_of_prometheus_client() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counters = CounterFamily("a_total", "A.", ["x", "y"], registry=ours)
    histograms = HistogramFamily("b_seconds", "B.", ["x"], registry=ours, buckets=BUCKETS)
    single = counter("c_total", "C.", registry=ours)
    values = histogram("d", "D.", registry=ours, buckets=BUCKETS)
    their_counters = TheirCounter("a_total", "A.", ["x", "y"], registry=theirs)
    their_histograms = TheirHistogram("b_seconds", "B.", ["x"], registry=theirs, buckets=BUCKETS)
    their_single = TheirCounter("c_total", "C.", registry=theirs)
    their_values = TheirHistogram("d", "D.", registry=theirs, buckets=BUCKETS)
    assert generate_latest(ours) == generate_latest(theirs)  # those with labels have no sample yet
    for amount in (1, 2.5):
        counters.labels("1", 'quoted "2"\n').inc(amount)
        their_counters.labels("1", 'quoted "2"\n').inc(amount)
        single.inc(amount)
        their_single.inc(amount)
    counters.labels("3", "")
    their_counters.labels("3", "")
    for value in VALUES:
        histograms.labels("1").observe(value)
        their_histograms.labels("1").observe(value)
        values.observe(value)
        their_values.observe(value)
    assert generate_latest(ours) == generate_latest(theirs)


def test_name_is_registered_once() -> None:
    registry = CollectorRegistry()
    counter("a_total", "A.", registry=registry)
    with pytest.raises(DuplicateTimeseries):
        CounterFamily("a_total", "A.", ["x"], registry=registry)
    histogram("b", "B.", registry=registry, buckets=BUCKETS)
    with pytest.raises(DuplicateTimeseries):
        HistogramFamily("b", "B.", ["x"], registry=registry, buckets=BUCKETS)
