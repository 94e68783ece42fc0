"""Moment matching where it is exact, through a decoder too, and against another implementation."""

import pytest
import torch
from support.exact import Mixture
from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.diffusion.parameterization import x_0_from_eps
from ldmiss.diffusion.sde import VPSDE
from ldmiss.sampling.moment_matching import moment_matching_score
from ldmiss.sampling.samplers import posterior_mean, sample_from_prior

SDE = VPSDE()
LATENT, PIXELS, NUM_ROWS = 5, 12, 4000
SEEDED = torch.Generator().manual_seed(0)
ROOT = torch.randn(LATENT, LATENT, dtype=torch.float64, generator=SEEDED) / LATENT**0.5
COVARIANCE = ROOT @ ROOT.T + 0.05 * torch.eye(LATENT, dtype=torch.float64)
MODEL = Mixture(torch.ones(1, dtype=torch.float64), torch.full((1, LATENT), 0.3, dtype=torch.float64), COVARIANCE[None])
DECODER = torch.randn(PIXELS, LATENT, dtype=torch.float64, generator=SEEDED) / LATENT**0.5
OBSERVED = torch.arange(PIXELS) % 3 > 0
NOISE_SD = 0.3
TRUTH = DECODER @ torch.tensor([0.9, -0.4, 0.2, 0.7, 0.1], dtype=torch.float64)


def decode(z: Tensor) -> Tensor:
    """Linear, with an offset."""
    return z @ DECODER.to(z.dtype).T + 0.1


X_OBS = torch.where(OBSERVED, TRUTH + 0.1, float("nan")).float()


def exact_posterior() -> tuple[Tensor, Tensor]:
    """Mean and covariance of the latents given the noisy observed pixels."""
    mean, seen = MODEL.means[0], DECODER[OBSERVED]
    gain = COVARIANCE @ seen.T @ torch.linalg.inv(seen @ COVARIANCE @ seen.T + NOISE_SD**2 * torch.eye(len(seen)))
    return mean + gain @ (TRUTH[OBSERVED] - seen @ mean), COVARIANCE - gain @ seen @ COVARIANCE


@pytest.mark.parametrize("num_steps", [10, 25, 100])
def test_the_posterior_of_latents_behind_a_linear_decoder(num_steps: int) -> None:
    """Mean within a tenth of the standard deviations, variances within a tenth; ten steps suffice."""
    rows, known = X_OBS.expand(NUM_ROWS, -1), OBSERVED.expand(NUM_ROWS, -1)
    score = moment_matching_score(
        MODEL.denoiser(SDE), decode, rows, known, noise_variance=NOISE_SD**2, num_iterations=LATENT
    )
    noise = RowNoise(0, torch.arange(NUM_ROWS))
    prior = noise(torch.empty(NUM_ROWS, LATENT))
    z = sample_from_prior("sde_dpm_solver_pp", score, SDE, prior, num_steps=num_steps, tau=1e-3, noise=noise).double()
    mean, covariance = exact_posterior()
    sd = covariance.diagonal().sqrt()
    assert ((z.mean(0) - mean).abs() / sd).max() < 0.1
    assert ((z.std(0) / sd).square() - 1).abs().max() < 0.1


@pytest.mark.parametrize("garbage", [0.0, 1e6, float("inf")])
def test_missing_pixels_never_enter(garbage: float) -> None:
    """To the bit."""
    z, known = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(1)), OBSERVED.expand(3, -1)
    guided = [
        moment_matching_score(MODEL.denoiser(SDE), decode, x.expand(3, -1), known, noise_variance=0.1, num_iterations=2)
        for x in (X_OBS, torch.where(OBSERVED, X_OBS, garbage))
    ]
    one, other = (score(z, torch.tensor(0.4)) for score in guided)
    assert torch.equal(one, other)
    assert one.isfinite().all()


@pytest.mark.parametrize("num_iterations", [1, 2, 4])
@pytest.mark.parametrize("t", [0.05, 0.3, 0.7])
def test_the_guided_mean_is_azulas(t: float, num_iterations: int) -> None:
    """`MMPSDenoiser` of azula (by the method's author), by GMRES, through a curved decoder and on a mixture."""
    from azula.denoise import Denoiser, DiracPosterior
    from azula.guidance import MMPSDenoiser
    from azula.noise import Schedule

    means = torch.stack([torch.full((LATENT,), shift, dtype=torch.float64) for shift in (-0.8, 0.8)])
    mixture = Mixture(torch.tensor([0.4, 0.6], dtype=torch.float64), means, 0.3 * torch.stack([COVARIANCE] * 2))
    ours = mixture.denoiser(SDE)

    class VP(Schedule):  # type: ignore[misc]
        def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
            return SDE.marginal_prob(t)

    class Exact(Denoiser):  # type: ignore[misc]
        schedule = VP()

        def forward(self, x_t: Tensor, t: Tensor) -> DiracPosterior:
            return DiracPosterior(mean=x_0_from_eps(x_t, ours.eps_fn(x_t, t), *SDE.marginal_prob(t)))

    def curved(z: Tensor) -> Tensor:
        return decode(z).tanh()

    time = torch.tensor(t, dtype=torch.float64)
    z_t = torch.randn(6, LATENT, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x_obs, known = X_OBS.double().expand(6, -1), OBSERVED.expand(6, -1)
    score = moment_matching_score(ours, curved, x_obs, known, noise_variance=0.09, num_iterations=num_iterations)
    theirs = MMPSDenoiser(
        Exact(), x_obs[:, OBSERVED], lambda z: curved(z)[..., OBSERVED], cov_y=lambda v: 0.09 * v,
        iterations=num_iterations,
    )  # fmt: skip
    torch.testing.assert_close(
        posterior_mean(score, SDE, z_t, time), theirs(z_t, time).mean, rtol=1e-6, atol=1e-8
    )  # fmt: skip
