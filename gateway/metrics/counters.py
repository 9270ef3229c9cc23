"""Counters and histograms of one thread; those of prometheus_client, which exposes these, lock a mutex at each event.

Keeps: every event is counted in the thread of the event loop. A scrape only reads.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import CollectorRegistry


class Counter:
    """A total that only grows."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total: float = 0

    def inc(self, amount: float = 1) -> None:
        """Add to the total."""
        self.total += amount


class Histogram:
    """How many values were observed in each bucket, and their sum; `bounds` are the highest values, ascending."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """By bucket; the last has what is above all bounds."""
        self.sum: float = 0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class CounterFamily:
    """The counters of one metric, one for each combination of its labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str] = (), *, registry: CollectorRegistry) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._counters: dict[tuple[str, ...], Counter] = {}
        registry.register(self)

    def labels(self, *values: str) -> Counter:
        """The counter with these labels; from the first call on it is exposed."""
        counter = self._counters.get(values)
        if counter is None:
            counter = self._counters[values] = Counter()
        return counter

    def collect(self) -> Iterable[Metric]:
        """Implement prometheus_client's Collector."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, counter in self._counters.items():
            family.add_metric(values, counter.total)
        return [family]

    describe = collect


def counter(name: str, text: str, *, registry: CollectorRegistry) -> Counter:
    """The counter of a metric without labels."""
    return CounterFamily(name, text, registry=registry).labels()


class HistogramFamily:
    """The histograms of one metric, one for each combination of its labels."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str] = (), *, registry: CollectorRegistry, buckets: Sequence[float]
    ) -> None:
        self._name, self._text, self._labels, self._buckets = name, text, labels, buckets
        self._names = [*(str(float(bound)) for bound in buckets), "+Inf"]
        self._histograms: dict[tuple[str, ...], Histogram] = {}
        registry.register(self)

    def labels(self, *values: str) -> Histogram:
        """The histogram with these labels; from the first call on it is exposed."""
        histogram = self._histograms.get(values)
        if histogram is None:
            histogram = self._histograms[values] = Histogram(self._buckets)
        return histogram

    def collect(self) -> Iterable[Metric]:
        """Implement prometheus_client's Collector."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, histogram in self._histograms.items():
            family.add_metric(values, list(zip(self._names, accumulate(histogram.counts), strict=True)), histogram.sum)
        return [family]

    describe = collect


def histogram(name: str, text: str, *, registry: CollectorRegistry, buckets: Sequence[float]) -> Histogram:
    """The histogram of a metric without labels."""
    return HistogramFamily(name, text, registry=registry, buckets=buckets).labels()
