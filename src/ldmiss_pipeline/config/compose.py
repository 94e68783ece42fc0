"""Compose conf/ into params.yaml without running anything: `python -m ldmiss_pipeline compose [--to FILE] [key=value ...]`.

The same composition that `dvc exp run -S key=value` does; validates the result before it replaces params.yaml.
"""

import argparse
import tempfile
from pathlib import Path

from dvc.utils.hydra import compose_and_dump

from ldmiss.files.atomic import save_text
from ldmiss_pipeline.config import params

ROOT = Path(__file__).parent.parent


def composed(overrides: list[str]) -> str:
    """The text of params.yaml for these overrides, as DVC itself writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        compose_and_dump(str(path), str(ROOT / "conf"), None, "config", str(ROOT), overrides)
        params.load(path)
        return path.read_text()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m ldmiss_pipeline compose", description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=params.PARAMS_FILE, metavar="FILE", help="default: %(default)s")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    args = parser.parse_args()
    save_text(args.to, composed(args.overrides))
