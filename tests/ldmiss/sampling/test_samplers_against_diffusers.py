"""Solvers of few steps against Hugging Face diffusers' schedulers, step by step, on the same noise levels.

Their schedulers work on a table of training times; given one with our grid's levels they take exactly our steps, the
last one to zero noise. They compute in float32 and cumulate it over products, hence the tolerance.
"""

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from support.exact import Mixture
from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.diffusion.sde import VPSDE
from ldmiss.sampling.samplers import dpm_solver_pp
from ldmiss.sampling.time_grids import log_snr_time_grid

SDE, NUM_STEPS = VPSDE(), 20
GRID = log_snr_time_grid(SDE, NUM_STEPS, 1e-3)
MIXTURE = Mixture(
    torch.tensor([0.3, 0.7], dtype=torch.float64),
    torch.tensor([[-1.5, 0.0], [1.0, 0.5]], dtype=torch.float64),
    torch.tensor([[[0.1, 0.05], [0.05, 0.1]], [[0.2, 0.0], [0.0, 0.05]]], dtype=torch.float64),
)
DENOISER = MIXTURE.denoiser(SDE)
X = RowNoise(1, torch.arange(50))(torch.empty(50, 2))


def betas() -> list[float]:
    """Variances of a discrete process whose levels are those of GRID without its 0, lowest first."""
    alpha, _ = SDE.marginal_prob(GRID[:-1].double().flip(0))
    products = torch.cat([torch.ones(1, dtype=torch.float64), alpha**2])
    return (1 - products[1:] / products[:-1]).tolist()


def by_ddim(eta: float) -> Tensor:
    """`DDIMScheduler`: Song, Meng and Ermon 2021, Eq. 12 and 16."""
    scheduler = DDIMScheduler(NUM_STEPS, trained_betas=betas(), clip_sample=False, timestep_spacing="trailing")
    scheduler.set_timesteps(NUM_STEPS)
    x, noise = X, RowNoise(0, torch.arange(50))
    for number, t in zip(scheduler.timesteps, GRID[:-1], strict=True):
        last = number == 0
        z = None if last or eta == 0 else noise(x)
        x = scheduler.step(DENOISER.eps_fn(x, t), int(number), x, eta=0 if last else eta, variance_noise=z).prev_sample
    return x


def by_multistep(algorithm: str) -> Tensor:
    """`DPMSolverMultistepScheduler` of second order by the midpoint rule: Lu et al. 2022b."""
    scheduler = DPMSolverMultistepScheduler(
        NUM_STEPS, trained_betas=betas(), solver_order=2, algorithm_type=algorithm, final_sigmas_type="zero",
        timestep_spacing="trailing", euler_at_final=True,
    )  # fmt: skip
    scheduler.set_timesteps(NUM_STEPS)
    x, noise = X, RowNoise(0, torch.arange(50))
    for number, t in zip(scheduler.timesteps, GRID[:-1], strict=True):
        z = noise(x) if algorithm.startswith("sde") and number > 0 else torch.zeros_like(x)
        x = scheduler.step(DENOISER.eps_fn(x, t), int(number), x, variance_noise=z).prev_sample
    return x


CASES: list[tuple[str, Tensor, dict[str, Any]]] = [
    ("DDIM, eta = 0", by_ddim(0.0), {"order": 1}),
    ("DDIM, eta = 1", by_ddim(1.0), {"order": 1, "noise": RowNoise(0, torch.arange(50))}),
    ("DPM-Solver++(2M)", by_multistep("dpmsolver++"), {"order": 2}),
    ("SDE-DPM-Solver++(2M)", by_multistep("sde-dpmsolver++"), {"order": 2, "noise": RowNoise(0, torch.arange(50))}),
]


@pytest.mark.parametrize(("name", "theirs", "arguments"), CASES, ids=[case[0] for case in CASES])
def test_same_samples(name: str, theirs: Tensor, arguments: dict[str, Any]) -> None:
    """From the same start, score and noise; and the solvers differ from each other by far more than the tolerance."""
    ours = dpm_solver_pp(DENOISER.score, SDE, X, time_grid=GRID, **arguments)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    for other, samples, _ in CASES:
        assert (samples - ours).abs().max() > 0.05 or other == name
