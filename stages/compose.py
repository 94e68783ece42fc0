"""Compose conf/ into params.yaml without running anything: `python -m stages.compose [key=value ...]`.

The same composition that `dvc exp run -S key=value` does; validates the result before it replaces params.yaml.
"""

import sys
import tempfile
from pathlib import Path

from dvc.utils.hydra import compose_and_dump

from stages import params
from stages.io import save_text

ROOT = Path(__file__).parent.parent


def composed(overrides: list[str]) -> str:
    """The text of params.yaml for these overrides, as DVC itself writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        compose_and_dump(str(path), str(ROOT / "conf"), None, "config", str(ROOT), overrides)
        params.load(path)
        return path.read_text()


if __name__ == "__main__":
    save_text(params.PARAMS_FILE, composed(sys.argv[1:]))
