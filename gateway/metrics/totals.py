"""A few metrics as numbers, for what a replica reports of itself."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.metrics.exposition import Registry

_NAMES: Final = {
    "connections": "chat_gateway_connections",
    "seats": "chat_gateway_seats",
    "stored": "chat_gateway_commit_batch_events_sum",
    "delivered": "chat_gateway_broadcast_deliveries_total",
    "lags": "chat_gateway_delivery_lag_seconds_count",
    "lag_s": "chat_gateway_delivery_lag_seconds_sum",
    "loop_lags": "chat_gateway_event_loop_lag_seconds_count",
    "loop_lag_s": "chat_gateway_event_loop_lag_seconds_sum",
    "gaps": "chat_gateway_gaps_total",
    "repaired": "chat_gateway_gap_events_repaired_total",
}


class Totals(NamedTuple):
    """Sums over the labels of each metric."""

    connections: float
    seats: float
    stored: float
    delivered: float
    lags: float
    lag_s: float
    loop_lags: float
    loop_lag_s: float
    gaps: float
    repaired: float


def read_totals(registry: Registry) -> Totals:
    """Read them; only the metrics that have these samples are collected."""
    sums: dict[str, float] = {}
    for metric in registry.restricted_registry(_NAMES.values()).collect():
        for sample in metric.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return _of(sums)


def _of(sums: Mapping[str, float]) -> Totals:
    return Totals(**{field: sums.get(name, 0.0) for field, name in _NAMES.items()})
