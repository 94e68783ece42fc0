"""DiffPuter's whole EM, with a real network that really trains, on a correlated Gaussian (slow: about a minute)."""

import pytest
import torch
from support.exact import conditional, gaussian
from torch import Tensor

from ldmiss.core.noise import torch_generator
from ldmiss.diffputer.em import Sampling, average_draws, denoiser_of
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.fitting.diffputer import EMSettings, fit_diffputer
from ldmiss.training.loop import Recipe

NUM_ROWS, RATE = 1000, 0.4
POSITIONS = torch.arange(3)
COVARIANCE = 0.7 ** (POSITIONS[:, None] - POSITIONS[None, :]).abs().double()
LAW = gaussian([0.0, 0.0, 0.0], COVARIANCE.tolist())


def imputed(rows: Tensor, observed: Tensor, num_iterations: int, seed: int) -> Tensor:
    """The mean of 30 draws of a DiffPuter that was fitted to the rows themselves."""
    settings = EMSettings(
        hidden=32, num_iterations=num_iterations,
        first=Recipe(epochs=60, batch_size=100, lr=3e-3, lr_schedule="cosine"),
        later=Recipe(epochs=30, batch_size=100, lr=3e-3, lr_schedule="cosine"),
        sampling=Sampling(num_steps=10, num_resamples=5), num_trials=3,
    )  # fmt: skip
    fitted = fit_diffputer(rows, observed, settings=settings, seed=seed)
    network = DiffPuterMLP(**fitted.config)
    network.load_state_dict(fitted.weights)
    draws = average_draws(
        denoiser_of(network), fitted.normalizer.normalize(rows), observed, torch.arange(NUM_ROWS), Sampling(20, 10),
        num_trials=30, seed=seed,
    )  # fmt: skip
    return fitted.normalizer.denormalize(draws)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_em_comes_within_a_tenth_of_the_exact_conditional_mean(seed: int) -> None:
    """The last iteration's imputations are better than the first one's and at most 10 % worse than the best possible.

    The mean of 30 exact draws alone would be 3 % worse than their expectation.
    """
    generator = torch_generator("cpu", seed, "rows")
    truth = torch.randn(NUM_ROWS, 3, dtype=torch.float64, generator=generator) @ torch.linalg.cholesky(COVARIANCE).T
    observed = torch.rand(NUM_ROWS, 3, generator=generator) >= RATE
    best = truth.clone()
    for row, known in zip(best, observed, strict=True):
        if not known.all():
            row[~known] = conditional(LAW, known, row)[0]
    rows = torch.where(observed, truth.float(), float("nan"))
    errors = [
        float((completed - truth)[~observed].square().mean())
        for completed in (best, imputed(rows, observed, 1, seed), imputed(rows, observed, 4, seed))
    ]
    least, first, last = errors
    assert last < first, f"{last / least:.3f} of the best after {first / least:.3f}"
    assert last < 1.1 * least, f"{last / least:.3f} of the best"
