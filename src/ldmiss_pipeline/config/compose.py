"""Compose conf/ into params.yaml, running nothing: `python -m ldmiss_pipeline compose [--to FILE] [key=value ...]`.

The same composition that `dvc exp run -S key=value` does; validates the result before it replaces params.yaml.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from dvc.utils.hydra import compose_and_dump
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import save_text
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.yaml_files import load_yaml

CONFIG = Path("conf")


def composed(overrides: list[str], root: Path = Path()) -> str:
    """The text of params.yaml for these overrides, as DVC itself writes it.

    Args:
        overrides: `key=value`, as `dvc exp run -S` takes them.
        root: of the project, in which conf/ and hydra_plugins/ are.

    Raises:
        InputError: conf/ is not there, an override is not understood, or the composed values are not allowed.
    """
    if not (root / CONFIG).is_dir():
        raise InputError(f"{root / CONFIG}: no such folder; run from the project's root")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / params.PARAMS_FILE
        try:
            if any(override.is_sweep_override() for override in OverridesParser.create().parse_overrides(overrides)):
                raise InputError("several values: take `grid=rates` or `grid=paper`, or `dvc exp run --queue`")
            compose_and_dump(
                str(path), str((root / CONFIG).absolute()), None, "config", str(root.absolute()), overrides
            )
        except (HydraException, OmegaConfBaseException) as error:
            raise InputError(one_line(error)) from None
        params.validate(load_yaml(path), str(params.PARAMS_FILE))
        return path.read_text()


def main(arguments: list[str] | None = None) -> int:
    """Compose and write; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ldmiss_pipeline compose", description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=params.PARAMS_FILE, metavar="FILE", help="default: %(default)s")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    args = parser.parse_args(arguments)
    try:
        save_text(args.to, composed(args.overrides))
    except InputError as error:
        print(f"error: compose: {error}", file=sys.stderr)
        return 1
    return 0
