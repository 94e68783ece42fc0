"""DiffPuter, fitted by expectation-maximisation on incomplete rows (Zhang et al. 2025; paper section 4.1)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_array, check_count, check_finite, check_number, check_observed
from ldmiss.core.batching import in_chunks
from ldmiss.core.noise import torch_generator
from ldmiss.core.randomness import derive_seed
from ldmiss.diffputer.em import Normalizer, Sampling, average_draws, denoiser_of
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.diffputer.objective import m_step_loss
from ldmiss.networks.layers import build, init_torch_default
from ldmiss.training.em import EM
from ldmiss.training.loop import Recipe


@dataclass(frozen=True)
class EMSettings:
    """How DiffPuter is fitted.

    Attributes:
        hidden: width of the network.
        num_iterations: of EM.
        first, later: how the network is trained in the first M-step, and in those that follow.
        sampling: of the E-step's draws.
        num_trials: draws that an E-step averages.
        warm_start: an M-step goes on from the weights of the last one.
        per_feature: rows are normalised by the moments of each feature, not by those of all values.
        std_floor: least standard deviation, in the units of the rows.

    Raises:
        InputError: a number out of range.
    """

    hidden: int
    num_iterations: int
    first: Recipe
    later: Recipe
    sampling: Sampling
    num_trials: int = 1
    warm_start: bool = True
    per_feature: bool = True
    std_floor: float = 0.05

    def __post_init__(self) -> None:
        for name in ("hidden", "num_iterations", "num_trials"):
            check_count(name, getattr(self, name))
        check_number("std_floor", self.std_floor, above=0)


@dataclass(frozen=True)
class FittedDiffPuter:
    """A fitted DiffPuter, as it is stored.

    Attributes:
        config: arguments of `DiffPuterMLP`.
        weights: by name, float32, on the CPU.
        normalizer: of the rows, on the device of the fit.
        curve: mean training loss of each epoch, of all M-steps.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    normalizer: Normalizer
    curve: list[float]


def fit_diffputer(
    rows: Tensor,
    observed: Tensor,
    *,
    settings: EMSettings,
    seed: int,
    chunk_size: int = 2000,
    num_at_a_time: int = 1,
    dtype: torch.dtype = torch.float32,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedDiffPuter:
    """Fit by EM: within an M-step, per chunk of an E-step and per iteration, a run that was cut goes on.

    Args:
        rows: float32 (N, d), finite where observed, on the device that trains; values at missing entries are never
            used.
        observed: bool (N, d), True where an entry is known.
        settings: see `EMSettings`.
        seed: root of all draws.
        chunk_size: rows that an E-step draws at a time.
        num_at_a_time: chunks of an E-step that are computed side by side.
        dtype: precision of the network's layers, float32 or bfloat16.
        checkpoint: where a run that is cut short goes on.
        progress: show bars on a terminal.

    Raises:
        InputError: rows, indicators or settings of another shape, dtype or range.
        DivergenceError: a loss, a weight or a draw is not finite.
    """
    check_array("rows", rows, ("N", "d"), "float32")
    check_observed(observed, rows, "rows")
    check_finite("rows", rows, where=observed)
    check_count("chunk_size", chunk_size)
    check_count("num_at_a_time", num_at_a_time)
    normalizer = Normalizer.fit(rows, observed, std_floor=settings.std_floor, per_feature=settings.per_feature)
    x_obs = torch.where(observed, normalizer.normalize(rows), 0.0)  # the feature means: not zero-imputation
    config = {"num_features": rows.shape[1], "hidden": settings.hidden}
    row_numbers = torch.arange(len(rows), device=rows.device)

    def new_network(iteration: int) -> DiffPuterMLP:
        generator = torch_generator("cpu", seed, "diffputer", "init", iteration)
        return build(lambda: DiffPuterMLP(**config), rows.device, init_torch_default, generator)

    def e_step(iteration: int, network: DiffPuterMLP) -> Tensor:
        denoise, root = denoiser_of(network, dtype), derive_seed(seed, "diffputer", "e-step", iteration)
        return in_chunks(
            lambda part: average_draws(
                denoise, x_obs[part], observed[part], row_numbers[part], settings.sampling,
                num_trials=settings.num_trials, seed=root,
            ),
            len(x_obs), chunk_size=chunk_size, name=f"e_step-{iteration}", num_at_a_time=num_at_a_time,
            checkpoint=checkpoint, progress=progress,
        )  # fmt: skip

    em = EM(
        recipes=[settings.first] + [settings.later] * (settings.num_iterations - 1),
        new_network=new_network,
        seed=lambda iteration: derive_seed(seed, "diffputer", "m-step", iteration),
        loss=lambda network, completed: m_step_loss(denoiser_of(network, dtype), completed),
        complete=e_step,
        warm_start=settings.warm_start,
    )
    network, curve = em.run(lambda: x_obs, checkpoint=checkpoint, progress=progress)
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    return FittedDiffPuter(config, weights, normalizer, curve)
