"""Incomplete images from disk to the device."""

from pathlib import Path

import torch
from torch import Tensor

from ldmiss_pipeline.artifacts.observed import load_observed


def load_incomplete(path: Path, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, 1, H, W), 0 where missing, and observed bool (N, 1, H, W), on the device.

    Raises:
        InputError: missing or corrupted file, or indicators that do not fit the images.
    """
    images, observed = load_observed(path)
    return torch.from_numpy(images)[:, None].to(device), torch.from_numpy(observed)[:, None].to(device)
