"""DiffPuter's whole EM, with a real network that really trains, on a correlated Gaussian (slow: about a minute)."""

import pytest
import torch
from support.exact import conditional, gaussian
from torch import Tensor

from ldmiss.core.noise import torch_generator
from ldmiss.core.randomness import derive_seed
from ldmiss.diffputer.edm import DenoiseFn, Preconditioned
from ldmiss.diffputer.em import SIGMA_DATA, Normalizer, Sampling, average_draws, expectation_maximisation, m_step_loss
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.networks.layers import build, init_torch_default
from ldmiss.training.loop import Recipe, Training

NUM_ROWS, NUM_ITERATIONS, RATE = 1000, 4, 0.4
POSITIONS = torch.arange(3)
COVARIANCE = 0.7 ** (POSITIONS[:, None] - POSITIONS[None, :]).abs().double()
LAW = gaussian([0.0, 0.0, 0.0], COVARIANCE.tolist())
E_STEP, FINAL = Sampling(num_steps=10, num_resamples=5), Sampling(num_steps=20, num_resamples=10)


def errors_of_em(seed: int) -> tuple[float, float, float]:
    """Squared errors: mean of 30 draws after the first and after the last M-step; the exact conditional mean."""
    generator = torch_generator("cpu", seed, "rows")
    truth = torch.randn(NUM_ROWS, 3, dtype=torch.float64, generator=generator) @ torch.linalg.cholesky(COVARIANCE).T
    observed = torch.rand(NUM_ROWS, 3, generator=generator) >= RATE
    normalizer = Normalizer.fit(torch.where(observed, truth.float(), float("nan")), observed, std_floor=0.05)
    x_obs = torch.where(observed, normalizer.normalize(truth.float()), 0.0)  # missing: the feature's mean
    rows, init = torch.arange(NUM_ROWS), torch_generator("cpu", seed, "init")
    network = build(lambda: DiffPuterMLP(num_features=3, hidden=32), "cpu", init_torch_default, init)
    denoise = Preconditioned(network, SIGMA_DATA)
    errors: list[float] = []

    def error(completed: Tensor) -> float:
        return float((completed - truth)[~observed].square().mean())

    def m_step(iteration: int, completed: Tensor) -> DenoiseFn:
        recipe = Recipe(epochs=60 if iteration == 0 else 30, batch_size=100, lr=3e-3, lr_schedule="cosine")
        training = Training(network, recipe, num_items=NUM_ROWS, seed=derive_seed(seed, "m-step", iteration))
        training.run(m_step_loss(denoise, completed))
        if iteration in (0, NUM_ITERATIONS - 1):
            final = average_draws(denoise, x_obs, observed, rows, FINAL, num_trials=30, seed=seed)
            errors.append(error(normalizer.denormalize(final)))
        return denoise

    def e_step(iteration: int, model: DenoiseFn) -> Tensor:
        noise_seed = derive_seed(seed, "e-step", iteration)
        return average_draws(model, x_obs, observed, rows, E_STEP, num_trials=3, seed=noise_seed)

    expectation_maximisation(x_obs, iterations=range(NUM_ITERATIONS), m_step=m_step, e_step=e_step)
    best = truth.clone()
    for row, known in zip(best, observed, strict=True):
        if not known.all():
            row[~known] = conditional(LAW, known, row)[0]
    first, last = errors
    return first, last, error(best)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_em_comes_within_a_tenth_of_the_exact_conditional_mean(seed: int) -> None:
    """The last iteration's imputations are better than the first one's and at most 10 % worse than the best possible.

    The mean of 30 exact draws alone would be 3 % worse than their expectation.
    """
    first, last, best = errors_of_em(seed)
    assert last < first, f"{last / best:.3f} of the best after {first / best:.3f}"
    assert last < 1.1 * best, f"{last / best:.3f} of the best"
