"""The one broadcast helper, so that the same formulas serve images, latents and flat rows."""

from torch import Tensor


def append_dims(values: Tensor, x: Tensor) -> Tensor:
    """Append axes of length 1 to per-row `values`, shape (B,) or (), until they broadcast against `x` (B, ...).

    Raises:
        ValueError: `values` has more axes than one.
    """
    if values.ndim > 1:
        raise ValueError(f"expected one value per row, got shape {tuple(values.shape)}")
    return values.reshape(values.shape + (1,) * (x.ndim - values.ndim)) if values.ndim else values
