"""The methods, one module each, with two functions:

    load_generator(item, params, runtime) -> Generate         (only if it generates)
    load_imputers(item, params, runtime) -> dict[str, Imputer]

`params` is the whole typed document, of which a method reads its own section. Its trained model is
`models/<method>/<cell>.safetensors` and holds everything that sampling and imputing need.

To add one: the module, its line in `src/ldmiss_pipeline/config/registry.py`, its section in conf/ and stages/schema, its train stage in
dvc.yaml. No model is trained again by that.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ldmiss.core.noise import RowNoise

    Generate = Callable[[int, RowNoise], Tensor]
    """(number of rows, their noise) -> images in [0, 1], (rows, 1, H, W)."""
