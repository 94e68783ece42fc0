"""A diffusion model of pixels, fitted to incomplete images by expectation-maximisation (Rozet et al. 2024).

"Learning diffusion priors from observations by expectation maximization", arXiv 2405.13712, Algorithm 1: draw the
missing pixels by moment matching under the model as it is, train it on the completed images, and so on. The first
images are completed by draws from a Gaussian, as theirs are.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ldmiss.autoencoding.codecs import PixelCodec
from ldmiss.baselines.gaussian import draw_gaussian, fit_gaussian, observed_mean
from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_choice, check_count, check_incomplete_images, check_number
from ldmiss.core.batching import in_chunks, steps_slot
from ldmiss.core.noise import RowNoise, torch_generator
from ldmiss.core.randomness import derive_seed
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.diffusion.parameterization import Denoiser, eps_from_velocity
from ldmiss.diffusion.sde import VPSDE
from ldmiss.em_diffusion.objective import prior_loss
from ldmiss.fitting.method import FittedMethod
from ldmiss.networks.layers import at_precision, build, init_fan_avg
from ldmiss.remasking.network import VALUE_RANGE, PatchUNet
from ldmiss.sampling.moment_matching import moment_matching_score
from ldmiss.sampling.samplers import SAMPLERS, sample_from_prior
from ldmiss.training.em import EM
from ldmiss.training.loop import Recipe

_RIDGE = 3e-3
_MOST_VALUES = 1024
"""Of an image that the first Gaussian takes as a whole: a row of more takes a tenth of a second and up."""


def fit(
    images: Tensor,
    observed: Tensor,
    *,
    network: Mapping[str, Any],
    num_iterations: int,
    first: Mapping[str, Any],
    later: Mapping[str, Any],
    e_step: Mapping[str, Any],
    diffusion: Mapping[str, float],
    seed: int,
    dtype: torch.dtype = torch.float32,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedMethod:
    """Fit by EM.

    Args:
        images: float32 (N, C, H, W), scaled, on the device that trains; values at missing pixels are never used.
        observed: bool (N, C, H, W), True where a pixel is known; at least one is.
        network: arguments of `PatchUNet`, without the numbers of channels.
        num_iterations: of EM.
        first, later: arguments of `Recipe`, of the first M-step and of those that follow.
        e_step: "sampler" and "num_steps" of `sample_from_prior`, "num_iterations" of `moment_matching_score`,
            "noise_sd" of the observation, scaled, and "chunk_size", images of 28 x 28 at a time, of larger ones so many
            fewer.
        diffusion: "beta_min" and "beta_max" of the forward process, and "tau", the smallest time.
        seed: root of all draws.
        dtype: precision of the network's layers, float32 or bfloat16.
        checkpoint: where a run that is cut short goes on.
        progress: show bars on a terminal.

    Returns:
        the network's weights; its arguments as metadata "network", and "diffusion".

    Raises:
        InputError: images, indicators or settings of another shape, dtype or range.
        DivergenceError: a loss, a weight or a draw is not finite.
        DeviceMemoryError: the device's memory is too small for a batch, or for one row of an E-step.
    """
    check_incomplete_images(images, observed)
    for name in ("num_steps", "num_iterations", "chunk_size"):
        check_count(name, e_step[name], least=2 if name == "num_steps" else 1)
    check_count("num_iterations", num_iterations)
    check_choice("sampler", e_step["sampler"], SAMPLERS)
    check_number("noise_sd", e_step["noise_sd"], above=0)
    check_number("tau", diffusion["tau"], above=0, below=1)
    sde, tau, device = VPSDE(diffusion["beta_min"], diffusion["beta_max"]), diffusion["tau"], images.device
    channels, height, width = images.shape[1:]
    codec = PixelCodec((channels, height, width), VALUE_RANGE)
    config = {"in_channels": channels, "out_channels": channels, **network}
    numbers = torch.arange(len(images), device=device)
    chunk_size = max(1, e_step["chunk_size"] * 784 // max(height * width, 784))

    def new_network(iteration: int) -> PatchUNet:
        generator = torch_generator("cpu", seed, "em_diffusion", "init", iteration)
        return build(lambda: PatchUNet(**config), device, init_fan_avg, generator)

    def complete(iteration: int, unet: PatchUNet) -> Tensor:
        denoiser = Denoiser(eps_from_velocity(at_precision(unet, dtype), sde), sde)
        root, name = derive_seed(seed, "em_diffusion", "e-step", iteration), f"e_step-{iteration}"

        def draw(part: slice) -> Tensor:
            noise = RowNoise(root, numbers[part])
            score = moment_matching_score(
                denoiser, codec.decode, images[part], observed[part], noise_variance=e_step["noise_sd"] ** 2,
                num_iterations=e_step["num_iterations"],
            )  # fmt: skip
            with torch.no_grad():
                z = sample_from_prior(
                    e_step["sampler"], score, sde, noise(images[part]), num_steps=e_step["num_steps"], tau=tau,
                    noise=noise, saved=SavedSteps(checkpoint, steps_slot(name, part), noise),
                )  # fmt: skip
            return torch.where(observed[part], images[part], codec.decode(z))

        return in_chunks(draw, len(images), chunk_size=chunk_size, name=name, checkpoint=checkpoint, progress=progress)

    em = EM(
        recipes=[Recipe(**first)] + [Recipe(**later)] * (num_iterations - 1),
        new_network=new_network,
        seed=lambda iteration: derive_seed(seed, "em_diffusion", "m-step", iteration),
        loss=lambda unet, completed: prior_loss(at_precision(unet, dtype), sde, completed, tau=tau),
        complete=complete,
    )
    unet, curve = em.run(
        lambda: _first_images(images, observed, seed, checkpoint, progress), checkpoint=checkpoint, progress=progress
    )
    weights = {name: value.cpu().contiguous() for name, value in unet.state_dict().items()}
    return FittedMethod(weights, {"network": config, "diffusion": dict(diffusion)}, curve)


def _first_images(images: Tensor, observed: Tensor, seed: int, checkpoint: Checkpoint, progress: bool) -> Tensor:
    """Images completed by draws from a Gaussian fitted to them; of large ones, value by value. On the CPU."""
    rows, known = images.cpu().flatten(1).numpy(), observed.cpu().flatten(1).numpy()
    numbers, small = torch.arange(len(rows)), rows.shape[1] <= _MOST_VALUES
    if small:
        mean, covariance = fit_gaussian(rows, known, ridge=_RIDGE)
    else:
        mean = observed_mean(rows, known)
        sd = observed_mean((rows - mean.astype(np.float32)) ** 2, known) ** 0.5

    def complete(part: slice) -> Tensor:
        normal = RowNoise(derive_seed(seed, "em_diffusion", "start"), numbers[part])(images[part].cpu())
        x, of_rows, drawn = rows[part], known[part], normal.flatten(1).numpy()
        if small:
            return torch.from_numpy(draw_gaussian(x, of_rows, mean, covariance, drawn))
        return torch.from_numpy(np.where(of_rows, x, mean + sd * drawn).astype(np.float32))

    completed = in_chunks(
        complete, len(rows), chunk_size=100, name="start", checkpoint=checkpoint, progress=progress
    )  # fmt: skip
    return completed.reshape(images.shape)
