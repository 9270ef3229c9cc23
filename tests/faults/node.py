"""A node of the rig: `chat-gateway gateway` with crash points, its links to Redis, hurried retention and, if asked,
lost publications and one rule broken.

Run as a module. RIG_ORDERS is the file of crash orders, RIG_MUTATION the rule, RIG_ROUTES says which link leads to a
server that Sentinels name (`named port=link's port,…`); everything else is the product's.
"""

import os
import sys
from pathlib import Path

from gateway.cli import main
from gateway.config.redis_url import SentinelUrl
from tests.faults.ageing import hurry
from tests.faults.crash_points import CrashPoints
from tests.faults.lost_publications import LostPublications
from tests.faults.mutations import Mutation, mutate


def reach_redis_by(routes: str) -> None:
    """Each node has links of its own to what Sentinels give all of them one address of."""
    links = dict(route.split("=") for route in routes.split(","))
    redis = SentinelUrl.redis

    def routed(url: SentinelUrl, host: str, port: int) -> str:
        return redis(url, host, int(links[str(port)]))

    SentinelUrl.redis = routed  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    reach_redis_by(os.environ["RIG_ROUTES"])
    if name := os.environ.get("RIG_MUTATION"):
        mutate(Mutation(name))
    hurry()
    CrashPoints(Path(os.environ["RIG_ORDERS"])).install()
    LostPublications().install()
    sys.exit(main(["gateway"]))
