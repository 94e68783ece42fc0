"""Draws that start from the encoder's answer, where the posterior is known."""

import pytest
import torch
from support.exact import Mixture
from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.diffusion.sde import VPSDE
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.posterior.residual import fit_residual

LATENT, SIDE, NUM_ROWS = 6, 8, 3000
SEEDED = torch.Generator().manual_seed(0)
ROOT = torch.randn(LATENT, LATENT, dtype=torch.float64, generator=SEEDED) / LATENT**0.5
COVARIANCE = ROOT @ ROOT.T + 0.05 * torch.eye(LATENT, dtype=torch.float64)
MODEL = Mixture(torch.ones(1, dtype=torch.float64), torch.zeros(1, LATENT, dtype=torch.float64), COVARIANCE[None])
DECODER = 0.1 * torch.randn(SIDE**2, LATENT, dtype=torch.float64, generator=SEEDED) / LATENT**0.5
NOISE_SD = 0.03
OBSERVED = (torch.arange(SIDE**2) % 3 == 0).reshape(1, SIDE, SIDE)
SEEN = DECODER[OBSERVED.flatten()]
GAIN = COVARIANCE @ SEEN.T @ torch.linalg.inv(SEEN @ COVARIANCE @ SEEN.T + NOISE_SD**2 * torch.eye(len(SEEN)))


class Linear:
    """A codec whose decoder is linear, about grey."""

    shape = (LATENT, 1, 1)

    def decode(self, z: Tensor) -> Tensor:
        return 0.5 + (z.flatten(1) @ DECODER.to(z.dtype).T).reshape(-1, 1, SIDE, SIDE)


def images(seed: int, num: int) -> Tensor:
    """Of the model: decoded latents and noise."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(num, LATENT, dtype=torch.float64, generator=generator) @ torch.linalg.cholesky(COVARIANCE).T
    noise = torch.randn(num, 1, SIDE, SIDE, dtype=torch.float64, generator=generator)
    return (Linear().decode(z) + NOISE_SD * noise).float()


def exact_mean(x_obs: Tensor, observed: Tensor) -> Tensor:
    """The answer of a perfect encoder: E[z | x_obs], (B, LATENT, 1, 1)."""
    seen = x_obs.flatten(1)[:, OBSERVED.flatten()].double() - 0.5
    return (seen @ GAIN.T).float()[:, :, None, None]


def draws(x: Tensor, num_steps: int, t_start: float, seed: int = 0) -> Tensor:
    """Decoded latents given the observed pixels; at the others the images are NaN."""
    sde = VPSDE()
    model = ScoreModel(MODEL.denoiser(sde), Linear(), torch.device("cpu"), 1e-3)
    observed = OBSERVED.expand(len(x), 1, SIDE, SIDE)
    return model.impute_by_moment_matching(
        torch.where(observed, x, float("nan")), observed, RowNoise(seed, torch.arange(len(x))), num_steps=num_steps,
        num_iterations=LATENT, noise_sd=NOISE_SD, t_start=t_start, start=exact_mean,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("num_steps", "t_start", "least"), [(5, 0.2, 0.8), (10, 0.4, 0.9), (25, 0.4, 0.9), (100, 0.4, 0.9)]
)
def test_draws_are_of_the_posterior(num_steps: int, t_start: float, least: float) -> None:
    """The mean exactly; the spread less what the start leaves out: it is noised, but not drawn, from the posterior."""
    x = images(1, 1).expand(NUM_ROWS, -1, -1, -1)
    drawn = draws(x, num_steps, t_start).double().flatten(1)
    mean = Linear().decode(exact_mean(x[:1], OBSERVED).double()).flatten()
    sd = (DECODER @ (COVARIANCE - GAIN @ SEEN @ COVARIANCE) @ DECODER.T).diagonal().sqrt()
    assert ((drawn.mean(0) - mean) / sd).abs().max() < 0.1
    ratio = (drawn.std(0) / sd).square()
    assert ratio.min() > least
    assert ratio.max() < 1.15


def test_with_what_the_decoder_leaves_out_they_are_of_the_images() -> None:
    """Mean, variance and coverage of missing pixels, the noise found from draws of other images."""
    held_out = images(2, NUM_ROWS)
    hidden = ~OBSERVED.expand_as(held_out)
    residual = fit_residual(
        held_out, hidden, (draws(held_out, 10, 0.4, 5), draws(held_out, 10, 0.4, 6), draws(held_out, 10, 0.4, 7))
    )
    x = images(3, NUM_ROWS)
    decoded = draws(x, 10, 0.4)
    drawn = residual.add(decoded, RowNoise(9, torch.arange(NUM_ROWS))(decoded))
    error = (x - drawn)[hidden]
    exact = DECODER @ (COVARIANCE - GAIN @ SEEN @ COVARIANCE) @ DECODER.T
    exact = exact.diagonal()[~OBSERVED.flatten()] + NOISE_SD**2
    assert float(error.square().mean() / (2 * exact.mean())) == pytest.approx(1, abs=0.05)
    mean = Linear().decode(exact_mean(x, OBSERVED))
    assert float((drawn - mean)[hidden].square().mean() / exact.mean()) == pytest.approx(1, abs=0.07)
    bound = 1.645 * exact.sqrt().float()
    inside = ((drawn - mean)[hidden].reshape(NUM_ROWS, -1).abs() < bound).double().mean()
    assert float(inside) == pytest.approx(0.9, abs=0.02)
