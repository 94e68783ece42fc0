"""Python imports this at its start where this folder is in PYTHONPATH: the events of real `dvc` and stage processes."""

import os
import sys

if "LDMISS_FAULTS" in os.environ:
    if sys.orig_argv[1:3] == ["-m", "stages"]:
        from faults.real import watch_stage

        watch_stage()
    elif os.path.basename(sys.argv[0] if sys.argv else "") == "dvc":
        from faults.real import watch_dvc

        watch_dvc()
