"""The linear Gaussian, fitted to incomplete images; its mean alone serves the imputer by the mean.

The covariance of large images has no place: that of 3 x 64 x 64 values fills 1.2 GB and takes hours to factorise.
"""

from typing import Any

import torch
from torch import Tensor

from ldmiss.baselines.gaussian import MOST_VALUES, fit_gaussian, least_ridge, observed_mean
from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_incomplete_images, check_number
from ldmiss.errors import InputError
from ldmiss.fitting.method import FittedMethod


def fit(
    images: Tensor,
    observed: Tensor,
    *,
    ridge: float,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedMethod:
    """Fit the Gaussian, in closed form and float64: nothing is drawn, and nothing is worth a checkpoint.

    Args:
        images: float32 (N, C, H, W), scaled; values at missing pixels are never used.
        observed: bool (N, C, H, W), True where a pixel is known; at least one is.
        ridge: variance that is added to that of every scaled value; at least `least_ridge` of their covariance.
        seed, dtype, checkpoint, progress: as every method's fit has them; without effect here.

    Returns:
        tensors "mean" (d,) and "covariance" (d, d), float64, d = C H W; no covariance where d > `MOST_VALUES`.

    Raises:
        InputError: images or indicators of another shape or dtype, or a ridge so small that the covariance is
            numerically singular.
    """
    check_incomplete_images(images, observed)
    check_number("ridge", ridge, least=0)
    del seed, dtype, checkpoint, progress
    rows, known = images.cpu().flatten(1).numpy(), observed.cpu().flatten(1).numpy()
    if rows.shape[1] > MOST_VALUES:
        return FittedMethod({"mean": torch.from_numpy(observed_mean(rows, known))}, {}, [])
    mean, covariance = fit_gaussian(rows, known, ridge=ridge)
    if not ridge >= (least := least_ridge(covariance)):
        raise InputError(
            f"ridge: {ridge} leaves the covariance of {len(mean)} pixels numerically singular; "
            f"allowed: at least {least:.1e}"
        )
    tensors: dict[str, Any] = {"mean": torch.from_numpy(mean), "covariance": torch.from_numpy(covariance)}
    return FittedMethod(tensors, {}, [])
