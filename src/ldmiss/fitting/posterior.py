"""How far a decoder is off, measured on pixels of training images that are known and were hidden."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_count, check_incomplete_images, check_number
from ldmiss.core.batching import in_chunks, steps_slot
from ldmiss.core.noise import RowNoise, torch_generator
from ldmiss.core.randomness import derive_seed
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.core.subsets import evenly_spread
from ldmiss.errors import InputError
from ldmiss.posterior.residual import Residual, fit_residual
from ldmiss.remasking.split import split_known

LEAST_NOISE_SD = 1e-3
"""Scaled: a quarter of a grey level, where a decoder errs less."""


@dataclass(frozen=True)
class Calibration:
    """What a decoder leaves out.

    Attributes:
        noise_sd: root mean square of known values about the decoding of the encoder's answer.
        residual: what values differ by from their decoding, beyond what draws do; on the CPU.
    """

    noise_sd: float
    residual: Residual


def calibrate(
    images: Tensor,
    observed: Tensor,
    *,
    encode: Callable[[Tensor, Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
    decode_draw: Callable[..., Tensor],
    num_images: int,
    min_kept: float = 0.8,
    seed: int,
    chunk_size: int = 200,
    num_at_a_time: int = 1,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> Calibration:
    """Hide known pixels of training images, draw them three times, and compare.

    Args:
        images: float32 (N, C, H, W), scaled; values at missing pixels are never used.
        observed: bool (N, C, H, W), True where a pixel is known; at least one is.
        encode: (x_obs, observed) -> the encoder's answer.
        decode: latents -> scaled images (B, C, H, W).
        decode_draw: (x_obs, observed, noise, saved, noise_sd=...) -> a decoded draw, (B, C, H, W).
        num_images: of them, spread evenly over those that know anything; fewer where there are fewer.
        min_kept: least share of its known pixels that an image keeps. Few are hidden, and single ones, so that draws
            are given nearly as much as at imputation.
        seed: root of all draws.
        chunk_size: rows at a time.
        num_at_a_time: chunks that are computed side by side.
        checkpoint: where a run that is cut short goes on.
        progress: show a bar on a terminal.

    Raises:
        InputError: images, indicators or settings of another shape, dtype or range, or too little is known.
        DivergenceError: a draw is not finite.
        DeviceMemoryError: the device's memory is too small for one row.
    """
    check_incomplete_images(images, observed)
    check_count("num_images", num_images)
    check_count("chunk_size", chunk_size)
    check_number("min_kept", min_kept, least=0, below=1)
    check_count("num_at_a_time", num_at_a_time)
    candidates = observed.flatten(1).any(1).nonzero().flatten()
    spread = torch.from_numpy(evenly_spread(len(candidates), min(num_images, len(candidates))))
    chosen = candidates[spread.to(images.device)]
    x, known = images[chosen], observed[chosen]
    generator = torch_generator(x.device, seed, "calibrate", "split")
    given, hidden = split_known(known, generator, min_kept=min_kept, borrowing=0)
    if not (given.any() and hidden.any()):
        raise InputError(f"observed: {int(known.sum())} known values in {len(x)} images; too few to hide some of them")
    x_obs = torch.where(given, x, 0.0)

    def chunks(compute: Callable[[slice], Tensor], name: str, checkpoint: Checkpoint) -> Tensor:
        return in_chunks(
            compute, len(x), chunk_size=chunk_size, name=name, num_at_a_time=num_at_a_time, checkpoint=checkpoint,
            progress=progress,
        )  # fmt: skip

    with torch.no_grad():
        decoded = chunks(lambda part: decode(encode(x_obs[part], given[part])), "decoded", NO_CHECKPOINT)
    noise_sd = max(LEAST_NOISE_SD, float((x_obs - decoded.to(x.device))[given].square().mean().sqrt()))
    rows = torch.arange(len(x), device=x.device)

    def draw(number: int) -> Tensor:
        name = f"draw-{number}"

        def compute(part: slice) -> Tensor:
            noise = RowNoise(derive_seed(seed, "calibrate", "draws"), rows[part], torch.full_like(rows[part], number))
            saved = SavedSteps(checkpoint, steps_slot(name, part), noise)
            return decode_draw(x_obs[part], given[part], noise, saved, noise_sd=noise_sd)

        return chunks(compute, name, checkpoint)

    return Calibration(noise_sd, fit_residual(x.cpu(), hidden.cpu(), (draw(0), draw(1), draw(2))))
