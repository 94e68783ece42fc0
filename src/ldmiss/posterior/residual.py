"""What a decoder leaves out of an image: errors as they were on held-out pixels, by the value that the decoder gives.

A latent is a summary, and a pixel is more than its decoding. Draws that leave this out are too sure. The errors are
far from Gaussian: on MNIST a pixel decoded as black is black, and now and then it is white.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

NUM_BINS = 40
NUM_LEVELS = 1024
"""Of each bin: enough for errors that one value in a thousand has."""


@dataclass(frozen=True)
class Residual:
    """The law of (pixel - decoded value), in steps over the decoded value.

    Attributes:
        edges: between the bins, rising, float32 (bins - 1,).
        quantiles: of each bin, scaled, rising, float32 (bins, levels): equally likely.
    """

    edges: Tensor
    quantiles: Tensor

    def add(self, decoded: Tensor, noise: Tensor) -> Tensor:
        """Decoded values with a residual each, by standard normal `noise` of their shape."""
        num_levels = self.quantiles.shape[1]
        level = (torch.special.ndtr(noise) * num_levels).long().clamp(max=num_levels - 1)
        return decoded + self.quantiles[_bin(decoded, self.edges), level]


def fit_residual(truth: Tensor, hidden: Tensor, draws: tuple[Tensor, Tensor, Tensor]) -> Residual:
    """The errors of draws, made as much narrower as draws differ by themselves.

    With x = D(z) + residual, and z_1, z_2, z_3 drawn from the posterior, independently of each other and of z,

        E[(x - D(z_1))^2 | D(z_3)] = E[residual^2 | D(z_3)] + E[(D(z_2) - D(z_1))^2 | D(z_3)],

    where the residual's mean does not depend on z otherwise, and all but its own part is seen. So the errors x - D(z_1)
    of a bin are brought to that variance about their mean. It is a third draw that says the bin: by their own, values
    that were drawn high would seem to err. The bins hold equally many values, so that they are narrow where values are
    frequent.

    Args:
        truth: scaled images (N, C, H, W), known where `hidden`.
        hidden: bool (N, C, H, W), values that the draws did not see; at least one.
        draws: decoded draws (N, C, H, W) of the posterior given the other known values.
    """
    decoded = torch.stack([draw[hidden] for draw in draws])
    first, second = decoded.roll(1, 0), decoded.roll(2, 0)
    errors = torch.stack([truth[hidden] - first, truth[hidden] - second]).flatten(1).double()
    spread = (first - second).square().flatten().double()
    values = decoded.flatten().sort().values
    edges = values[torch.arange(1, NUM_BINS) * len(values) // NUM_BINS].unique()  # type: ignore[no-untyped-call]
    edges = edges[edges > values[0]]
    bins = _bin(decoded.flatten(), edges)
    levels = (torch.arange(NUM_LEVELS, dtype=torch.float64) + 0.5) / NUM_LEVELS
    quantiles = torch.zeros(len(edges) + 1, NUM_LEVELS, dtype=torch.float64)
    for number in bins.unique():  # type: ignore[no-untyped-call]
        of_bin = errors[:, bins == number].flatten()
        variance = (of_bin.var(correction=0) - spread[bins == number].mean()).clamp(min=0)
        shape = torch.quantile(of_bin, levels)
        shape = shape - shape.mean()
        quantiles[number] = of_bin.mean() + shape * (variance / shape.square().mean().clamp(min=1e-12)).sqrt()
    return Residual(edges, quantiles.float())


def _bin(decoded: Tensor, edges: Tensor) -> Tensor:
    """The bin of each value; a value on an edge belongs to the upper one."""
    return torch.bucketize(decoded, edges, right=True)
