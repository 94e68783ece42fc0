"""The scaler of the images that a model was trained on, from its file."""

from typing import Any

import torch

from ldmiss.core.scaling import Scaler
from ldmiss.imputation.imputer import Bounds


def restore_bounds(metadata: dict[str, Any], device: torch.device) -> Bounds:
    """The least and the largest scaled value of each channel, on the device."""
    low, high = Scaler.from_dict(metadata["scaler"]).scaled_bounds()
    return torch.from_numpy(low).to(device), torch.from_numpy(high).to(device)
