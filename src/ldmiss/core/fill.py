"""The fill of missing pixels, by name (apart from the mechanisms: adding one of those retrains nothing)."""

from torch import Tensor

FILL_VALUES = {"black": 0.0, "grey": 0.5}
"""What a network sees where a pixel is missing, in [0, 1] units (METHODS section 8, A1; the paper says zero)."""

FILLS = [*FILL_VALUES, "mean"]
"""All fills: a constant, or the mean of each pixel over the training images in which it is observed."""


def fill_image(fill: str, x: Tensor, observed: Tensor) -> Tensor:
    """What stands at missing pixels: float32 (1, 1, 1), or (C, H, W) for "mean", in [0, 1].

    Args:
        fill: one of `FILLS`.
        x: training images in [0, 1], float (N, C, H, W); values at missing pixels are never used.
        observed: bool (N, C, H, W). A pixel never observed is filled with 0.
    """
    if fill == "mean":
        count = observed.sum(0).clamp(min=1)
        return (x.where(observed, 0.0).double().sum(0) / count).float()
    return x.new_full((1, 1, 1), FILL_VALUES[fill])
