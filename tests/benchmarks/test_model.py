"""The model of W6: resources for a number of connections."""

from dataclasses import replace

import pytest

from benchmarks.result import Section
from benchmarks.workloads.model import (
    BUSY,
    CONNECTIONS_A_NODE,
    MIX,
    Costs,
    Kind,
    Traffic,
    costs_of,
    needs,
    reached,
    section,
)

COSTS = Costs(
    message_us=100,
    receive_us=40,
    delivery_us=8,
    connect_us=700,
    idle_us=1,
    connection_kib=12,
    node_mib=80,
    redis_message_us=20,
    redis_receiver_us=2,
    redis_connect_us=50,
    database_us=60,
)
PAIRS = Traffic((Kind("pairs", 1.0, 2, 1.0),), reconnects=0)


def test_chat_of_two_reaches_at_most_two_nodes() -> None:
    assert reached(1, 2) == 1
    assert reached(2, 2) == 1.5
    assert reached(1000, 2) == pytest.approx(2, abs=0.01)


def test_room_larger_than_cluster_reaches_every_node() -> None:
    assert reached(10, 5000) == pytest.approx(10)


def test_few_connections_need_one_of_each_part() -> None:
    few = needs(COSTS, PAIRS, 100)
    assert (few.nodes, few.shards, few.database_cores) == (1, 1, 1)


def test_needs_follow_documented_formula() -> None:
    some = needs(COSTS, PAIRS, 60_000)  # 1,000 messages/s over 3 nodes, 1⅔ of which a message reaches
    assert some.nodes == 3
    assert some.messages_s == pytest.approx(1000)
    assert some.deliveries_s == pytest.approx(2000)
    assert some.gateway_cpu == pytest.approx(60_000 * 1e-6 + 1000 * (100 + 40 * 2 / 3) * 1e-6)
    assert some.redis_cpu == pytest.approx(1000 * (20 + 2 * 5 / 3) * 1e-6)
    assert some.memory_gib == pytest.approx((3 * 80 * 1024 + 60_000 * 12) / 1024**2)


def test_node_count_is_the_smallest_below_busy_limit() -> None:
    dear = replace(COSTS, message_us=5000)
    many = needs(dear, MIX, 1_000_000)
    assert many.nodes > 1_000_000 / CONNECTIONS_A_NODE
    assert many.gateway_cpu <= many.nodes * BUSY
    assert many.gateway_cpu > (many.nodes - 2) * BUSY  # one less would be too busy, but for what each node adds itself


def test_higher_costs_never_need_fewer_nodes() -> None:
    before = needs(COSTS, MIX, 1_000_000)
    for name in ("message_us", "receive_us", "delivery_us", "connect_us", "idle_us"):
        assert needs(replace(COSTS, **{name: getattr(COSTS, name) * 3}), MIX, 1_000_000).nodes >= before.nodes


def test_costs_are_complete_only_after_every_workload() -> None:
    names = [*Costs.__slots__]
    one = Section("w2", [], costs=dict.fromkeys(names[:4], 1.0))
    other = Section("w3", [], costs=dict.fromkeys(names[4:], 2.0))
    assert costs_of([one]) is None
    found = costs_of([one, other])
    assert found is not None
    assert (found.message_us, found.database_us) == (1.0, 2.0)


def test_mix_shares_sum_to_one() -> None:
    assert sum(kind.share for kind in MIX.kinds) == pytest.approx(1)


def test_capacity_section_states_its_inputs() -> None:
    (table,) = section(COSTS).tables
    assert "message_us 100" in table.markdown()
    assert "1,000,000" in table.markdown()
