"""Goes into `src/` of the projects of the test bed, where every Python of a worker finds it.

Workers name the node in their events: all nodes are one host. A worker waits before it says that its cell is done,
while `control/hold-worker@<cell>` is there.
"""

import os
import sys
from typing import Any


def _watch(arguments: list[str]) -> None:
    from pathlib import Path

    import stages.grid.events as events

    original = events.add_event
    control = Path(arguments[arguments.index("--remote-config") + 1]).read_text()
    node = os.environ.get("SLURMD_NODENAME") or os.environ.get("LDMISS_TEST_NODE")

    def add_event(path: Any, event: dict[str, Any]) -> None:
        if event["stage"] == "worker" and event["status"] == "done":
            import toy

            toy.wait_while_held(control, f"worker@{event['cell']}")
        original(path, {**event, "node": node})

    events.add_event = add_event


if "stages.grid.worker" in sys.orig_argv:
    _watch(sys.orig_argv)
