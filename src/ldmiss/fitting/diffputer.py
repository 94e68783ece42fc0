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
from ldmiss.diffputer.edm import DenoiseFn
from ldmiss.diffputer.em import (
    Normalizer,
    Sampling,
    average_draws,
    denoiser_of,
    expectation_maximisation,
)
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.diffputer.objective import m_step_loss
from ldmiss.networks.layers import build, init_torch_default
from ldmiss.training.fit import run_training
from ldmiss.training.loop import Recipe, Training


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
    em = _EM(rows, observed, settings, seed, chunk_size, num_at_a_time, dtype, checkpoint, progress)
    em.run()
    weights = {name: value.cpu().contiguous() for name, value in em.network.state_dict().items()}
    return FittedDiffPuter(em.config, weights, em.normalizer, em.curve)


class _EM:
    """The steps of one EM run, with their checkpoints."""

    def __init__(
        self,
        rows: Tensor,
        observed: Tensor,
        settings: EMSettings,
        seed: int,
        chunk_size: int,
        num_at_a_time: int,
        dtype: torch.dtype,
        checkpoint: Checkpoint,
        progress: bool,
    ) -> None:
        self.settings, self.seed, self.dtype, self.observed = settings, seed, dtype, observed
        self.chunk_size, self.num_at_a_time = chunk_size, num_at_a_time
        self.checkpoint, self.progress = checkpoint, progress
        self.normalizer = Normalizer.fit(
            rows, observed, std_floor=settings.std_floor, per_feature=settings.per_feature
        )  # fmt: skip
        self.x_obs = torch.where(observed, self.normalizer.normalize(rows), 0.0)
        self.config = {"num_features": rows.shape[1], "hidden": settings.hidden}
        self.network = self._new_network(0)
        self.curve: list[float] = []

    def run(self) -> None:
        """All iterations, from the last one that was finished."""
        start, x = self._restore()
        iterations = range(start, self.settings.num_iterations)
        expectation_maximisation(x, iterations=iterations, m_step=self._m_step, e_step=self._e_step)

    def _new_network(self, iteration: int) -> DiffPuterMLP:
        generator = torch_generator("cpu", self.seed, "diffputer", "init", iteration)
        return build(lambda: DiffPuterMLP(**self.config), self.observed.device, init_torch_default, generator)

    def _m_step(self, iteration: int, x: Tensor) -> DenoiseFn:
        if iteration > 0 and not self.settings.warm_start:
            self.network = self._new_network(iteration)
        recipe = self.settings.first if iteration == 0 else self.settings.later
        seed = derive_seed(self.seed, "diffputer", "m-step", iteration)
        training = Training(self.network, recipe, num_items=len(x), seed=seed)
        run_training(
            training, m_step_loss(denoiser_of(self.network, self.dtype), x), name=f"m_step-{iteration}",
            checkpoint=self.checkpoint, progress=self.progress,
        )  # fmt: skip
        self.network.load_state_dict(training.result())
        self.curve += training.curve
        return denoiser_of(self.network, self.dtype)

    def _e_step(self, iteration: int, denoise: DenoiseFn) -> Tensor:
        seed = derive_seed(self.seed, "diffputer", "e-step", iteration)
        row_numbers = torch.arange(len(self.x_obs), device=self.x_obs.device)

        def compute(rows: slice) -> Tensor:
            return average_draws(
                denoise, self.x_obs[rows], self.observed[rows], row_numbers[rows], self.settings.sampling,
                num_trials=self.settings.num_trials, seed=seed,
            )  # fmt: skip

        x = in_chunks(
            compute, len(self.x_obs), chunk_size=self.chunk_size, name=f"e_step-{iteration}",
            num_at_a_time=self.num_at_a_time, checkpoint=self.checkpoint, progress=self.progress,
        )  # fmt: skip
        self._save(iteration + 1, x)
        return x.to(self.x_obs.device)

    def _save(self, next_iteration: int, x: Tensor) -> None:
        state = {"x": x, "curve": torch.tensor(self.curve, dtype=torch.float64), "next": torch.tensor(next_iteration)}
        weights = {f"mlp.{name}": value.cpu() for name, value in self.network.state_dict().items()}
        self.checkpoint.save("em", state | weights)
        self.checkpoint.drop("m_step-")
        self.checkpoint.drop("e_step-")

    def _restore(self) -> tuple[int, Tensor]:
        stored = self.checkpoint.load("em")
        if stored is None:
            return 0, self.x_obs
        self.network.load_state_dict(
            {name.removeprefix("mlp."): value for name, value in stored.items() if name.startswith("mlp.")}
        )
        self.curve = stored["curve"].tolist()
        return int(stored["next"]), stored["x"].to(self.x_obs.device)
