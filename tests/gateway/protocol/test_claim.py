"""Claims: which of two seats stays, and what other nodes may be sent."""

import time

import pytest

from gateway.protocol.claim import Claim


def test_unsettled_claims_follow_settled_ones_and_each_other() -> None:
    first = Claim.unsettled()
    assert Claim.settled(1) < Claim.settled(2) < Claim.settled(2**53) < first <= Claim.unsettled()


def test_unsettled_claim_is_time_of_node_in_microseconds() -> None:
    before = time.monotonic_ns() // 1000
    assert before <= Claim.unsettled().us <= time.monotonic_ns() // 1000


def test_only_settled_claims_are_sent_to_other_nodes() -> None:
    assert Claim.settled(5).settled_us == 5
    with pytest.raises(ValueError, match="unsettled"):
        _ = Claim.unsettled().settled_us
