"""The table of costs has every operation of the table of roles."""

from gateway.http.costs import COSTS
from gateway.node.policy.roles import HTTP


def test_every_operation_has_a_cost() -> None:
    assert set(COSTS) == {name.partition(" (")[0] for name in HTTP}
