"""Writers and nodes that deliver, with their statements in random orders: no event is lost, and none is overtaken."""

from collections.abc import Iterable

import pytest

from gateway.webhooks import delivery, loads
from storage.outbox import positions, queue
from storage.repositories.chat_setup import removals
from storage.repositories.upkeep import retention
from tests.gateway.webhooks.interleaver import Interleaver, interleaved
from tests.gateway.webhooks.outbox_round import Round, opened
from tests.support.migrated import make_store

SEEDS = (0, 6, 9, 10, 11)
"""Each was red on one of the databases while an event could overtake another between a claim and its read."""

REMOVAL_SEEDS = (0, 1, 2, 3, 4)


async def run_rounds(url: str, seeds: Iterable[int], monkeypatch: pytest.MonkeyPatch, *, removes: bool = False) -> None:
    await make_store(url)
    for name in ("POLL_S", "PAUSE_S", "BUSY_PAUSE_S"):
        monkeypatch.setattr(delivery, name, 0.0005)
    async with opened(url) as (node, databases):
        for seed in seeds:
            interleaver = Interleaver(seed)
            with monkeypatch.context() as patch:
                small = interleaver.dice.choice([2, 3, 100])
                for module in (delivery, loads):
                    patch.setattr(module, "MAX_EVENTS", small)
                for module in (loads, queue):
                    patch.setattr(module, "EXTRAS_READ", small)
                patch.setattr(delivery, "HEADS", interleaver.dice.choice([1, 3, 1000]))
                patch.setattr(positions, "READ", interleaver.dice.choice([2, 5, 10_000]))
                if removes:
                    remove_in_small_steps(patch, interleaver.dice.choice([1, 2, 100]))
                with interleaved(interleaver, patch):
                    wrong = await Round(interleaver, str(seed), node, databases, removes=removes).run()
            trace = [f"{actor}: {step}" for actor, step in interleaver.trace]
            assert not wrong, "\n".join([f"seed {seed}", *wrong, *trace])


def remove_in_small_steps(patch: pytest.MonkeyPatch, size: int) -> None:
    """Let transactions that remove something change this many rows."""
    patch.setattr(retention, "BATCH", size)
    patch.setattr(retention, "_EVENTS", retention._EVENTS.replace("LIMIT 250", f"LIMIT {size}"))
    patch.setattr(removals, "BATCH", size)
    patch.setattr(removals, "LOG_BATCH", size)
    patch.setattr(queue, "DROPPED", size)
    for module in (retention, removals):
        patch.setattr(module, "PAUSE_S", 0)


async def test_any_interleaving_keeps_each_event_in_order(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await run_rounds(database_url, SEEDS, monkeypatch)


@pytest.mark.full
async def test_many_interleavings_keep_events_in_order(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await run_rounds(database_url, range(12, 150), monkeypatch)


async def test_removals_in_any_order_lose_nothing_else(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await run_rounds(database_url, REMOVAL_SEEDS, monkeypatch, removes=True)


@pytest.mark.full
async def test_removals_in_many_orders_lose_nothing_else(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await run_rounds(database_url, range(5, 65), monkeypatch, removes=True)
