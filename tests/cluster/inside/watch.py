"""Goes into `src/ldmiss_pipeline/grid/` of the projects of the test bed, whose workers it watches.

They name the node in their events: all nodes are one host. And they wait before they say that their cell is done,
while `control/hold-worker@<cell>` is there.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ldmiss_pipeline.grid import toy

AddEvent = Callable[[Any, dict[str, Any]], None]


def watched(add_event: AddEvent) -> AddEvent:
    if "--remote-config" not in sys.argv:
        return add_event
    settings = Path(sys.argv[sys.argv.index("--remote-config") + 1]).read_text()
    node = os.environ.get("SLURMD_NODENAME") or os.environ.get("LDMISS_TEST_NODE")

    def add(path: Any, event: dict[str, Any]) -> None:
        if event["stage"] == "worker" and event["status"] == "done":
            toy.wait_while_held(settings, f"worker@{event['cell']}")
        add_event(path, {**event, "node": node})

    return add
