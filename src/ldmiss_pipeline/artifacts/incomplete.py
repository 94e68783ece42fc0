"""Incomplete training images from disk to the device, scaled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ldmiss.core.scaling import Scaler
from ldmiss_pipeline.artifacts.observed import load_observed, load_observed_metadata


@dataclass(frozen=True)
class TrainingImages:
    """What models are trained on.

    Attributes:
        images: float32 (N, C, H, W), scaled, 0 where missing; on the device.
        observed: bool (N, C, H, W), on the device.
        metadata: what a model's file has to say of them: `dataset`, `scaler` and `image_shape`, (C, H, W).
    """

    images: Tensor
    observed: Tensor
    metadata: dict[str, Any]


def load_training_images(path: Path, device: torch.device) -> TrainingImages:
    """The incomplete training images of a cell.

    Raises:
        InputError: missing or corrupted file, or indicators that do not fit the images.
    """
    images, observed = load_observed(path)
    metadata = load_observed_metadata(path, "dataset", "scaler") | {"image_shape": list(images.shape[1:])}
    scaled = scale_observed(Scaler.from_dict(metadata["scaler"]), images, observed, device)
    return TrainingImages(scaled, torch.from_numpy(observed).to(device), metadata)


def scale_observed(scaler: Scaler, images: Any, observed: Any, device: torch.device) -> Tensor:
    """Images (N, C, H, W) in their own units to scaled ones, 0 where not observed, on the device."""
    scaled = torch.from_numpy(scaler.to_scaled(images))
    return torch.where(torch.from_numpy(observed), scaled, 0.0).to(device)
