"""A node of the rig: `chat-gateway gateway` with crash points and, if asked, one rule broken.

Run as a module. RIG_ORDERS is the file of crash orders, RIG_MUTATION the rule; everything else is the product's.
"""

import os
import sys
from pathlib import Path

from gateway.cli import main
from tests.faults.crash_points import CrashPoints
from tests.faults.mutations import Mutation, mutate

if __name__ == "__main__":
    if name := os.environ.get("RIG_MUTATION"):
        mutate(Mutation(name))
    CrashPoints(Path(os.environ["RIG_ORDERS"])).install()
    sys.exit(main(["gateway"]))
