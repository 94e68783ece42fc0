"""What the fit of a method beyond the paper's gives: such methods share one stage, `train`.

The module `ldmiss.fitting.<method>` has a function

    fit(images, observed, *, <settings>, seed, dtype, checkpoint, progress) -> FittedMethod

with images float32, scaled, and observed bool (N, C, H, W), and the settings of the params' section `<method>.train`.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class FittedMethod:
    """A fitted method, as its model file stores it.

    Attributes:
        tensors: by name, on the CPU.
        metadata: what else is needed to make the model again, ready for JSON.
        curve: mean training loss of each epoch; empty where nothing is trained in epochs.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    curve: list[float]
