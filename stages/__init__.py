"""The pipeline: one module per DVC stage, each file I/O around functions of `ldmiss`. Run: `python -m stages NAME`."""

import os
import sys
from pathlib import Path

# A virtual environment may be shared by several clones: the stages of a clone use the library of that clone, whichever
# of them was installed last. Otherwise dvc.lock would record hashes of code that never ran.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

# The BLAS of numpy and scipy reads this when it is loaded, so here, before them. Systems as small as ours are five
# times slower with two threads than with one, and would not give the same bits on another number of cores.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
