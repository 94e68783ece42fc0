"""The explicit table of engines."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ldmiss.errors import InputError
from ldmiss_pipeline.grid.engines.interface import Engine, Resources
from ldmiss_pipeline.grid.engines.local import Local
from ldmiss_pipeline.grid.engines.ray_jobs import RayJobs
from ldmiss_pipeline.grid.engines.slurm import Slurm
from ldmiss_pipeline.grid.state import GridRun

ENGINES: dict[str, tuple[Callable[[Path, Resources], Engine], str, str]] = {
    "local": (Local, "submitit", "make setup"),
    "slurm": (Slurm, "submitit", "make setup"),
    "ray": (RayJobs, "ray", "uv pip install -e '.[ray]'"),
}
"""Name -> the engine, the package that it needs, and how to install that."""


def make_engine(run: GridRun) -> Engine:
    """The engine of a run.

    Raises:
        InputError: its package is not installed.
    """
    engine, package, advice = ENGINES[run.engine]
    if find_spec(package) is None:
        raise InputError(f"--engine {run.engine}: {package} is not installed; install it: `{advice}`")
    return engine(run.folder / "jobs", Resources(**run.resources))
