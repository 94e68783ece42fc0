"""MIWAE against closed forms: a linear decoder, where the likelihood and the conditional law are exact."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from ldmiss.core.noise import RowNoise
from ldmiss.core.pixels import network_from_scaled, scaled_from_network
from ldmiss.imputation.miwae import MIWAEModel
from ldmiss.miwae.importance import MIN_SD, VALUE_RANGE, encode, log_weights
from ldmiss.miwae.objective import importance_weighted_loss

SEEDED = torch.Generator().manual_seed(0)
LATENT, PIXELS, SD = 1, 9, 0.5
SLOPES = 0.6 + torch.rand(PIXELS, generator=SEEDED)
IMAGE = scaled_from_network(torch.randn(1, 1, 3, 3, generator=SEEDED), VALUE_RANGE)
OBSERVED = torch.tensor([1, 0, 1, 1, 0, 1, 0, 1, 1]).bool().reshape(1, 1, 3, 3)


def decoder(z: Tensor) -> Tensor:
    """Pixels are slopes times the one latent, with an sd of 0.5."""
    mean = (z.reshape(len(z), 1) * SLOPES).reshape(-1, 1, 3, 3)
    return torch.cat([mean, torch.full_like(mean, math.log(math.expm1(SD - MIN_SD)))], dim=1)


def exact_encoder(inputs: Tensor) -> Tensor:
    """Mean and log-variance of the latent given what is known."""
    x, known = inputs.flatten(2).unbind(1)
    precision = 1 + (known * SLOPES**2).sum(1) / SD**2
    mean = (known * SLOPES * x).sum(1) / SD**2 / precision
    return torch.stack([mean, -precision.log()], dim=1).reshape(-1, 2, 1, 1)


def prior_encoder(inputs: Tensor) -> Tensor:
    """A proposal that knows nothing."""
    return torch.zeros(len(inputs), 2, 1, 1)


def exact_log_likelihood(images: Tensor, observed: Tensor) -> Tensor:
    """log p(x_obs) of each image."""
    result = []
    for image, known in zip(network_from_scaled(images, VALUE_RANGE).flatten(1), observed.flatten(1), strict=True):
        slopes = SLOPES[known]
        covariance = slopes[:, None] * slopes + SD**2 * torch.eye(len(slopes))
        result.append(MultivariateNormal(torch.zeros(len(slopes)), covariance).log_prob(image[known]))
    return torch.stack(result)


def test_with_the_exact_posterior_every_weight_is_the_likelihood() -> None:
    """Whatever latent is drawn."""
    images, observed = IMAGE.expand(7, -1, -1, -1), OBSERVED.expand(7, -1, -1, -1)
    eps = torch.randn(7, LATENT, 1, 1, generator=torch.Generator().manual_seed(1))
    weights, _, _ = log_weights(encode(exact_encoder, images, observed), eps, decoder, images, observed)
    torch.testing.assert_close(weights, exact_log_likelihood(images, observed))


def test_the_bound_tightens_with_the_number_of_samples() -> None:
    """From below, with a proposal that knows nothing; with the exact one it is the likelihood at any number."""
    images, observed = IMAGE.expand(500, -1, -1, -1), OBSERVED.expand(500, -1, -1, -1)

    def bound(encoder: object, num_samples: int) -> float:
        loss = importance_weighted_loss(encoder, decoder, images, observed, num_samples=num_samples)  # type: ignore[arg-type]
        return -PIXELS * float(loss(torch.arange(500), torch.Generator().manual_seed(2)))

    exact = float(exact_log_likelihood(IMAGE, OBSERVED))
    bounds = [bound(prior_encoder, number) for number in (1, 5, 50, 500)]
    assert bounds == sorted(bounds)
    assert bounds[0] < exact - 1
    assert abs(bounds[-1] - exact) < 0.02
    assert abs(bound(exact_encoder, 1) - exact) < 1e-4


@pytest.mark.parametrize("encoder", [exact_encoder, prior_encoder])
def test_means_and_draws_are_of_the_exact_conditional_law(encoder: object) -> None:
    """Mean and covariance of the missing pixels given the others, also from a proposal that knows nothing."""
    rows = 4000
    model = MIWAEModel(encoder, decoder, (1, 3, 3))  # type: ignore[arg-type]
    x, known = IMAGE.expand(rows, -1, -1, -1), OBSERVED.expand(rows, -1, -1, -1)
    noise = RowNoise(0, torch.arange(rows))
    draws = network_from_scaled(model.impute_draw(x, known, noise, num_samples=200), VALUE_RANGE).flatten(1)
    posterior_mean, log_variance = exact_encoder(
        torch.cat([torch.where(OBSERVED, 2 * IMAGE - 1, 0.0), OBSERVED.float()], dim=1)
    ).flatten()
    missing = ~OBSERVED.flatten()
    slopes = SLOPES[missing]
    covariance = log_variance.exp() * slopes[:, None] * slopes + SD**2 * torch.eye(len(slopes))
    assert (draws[:, missing].mean(0) - posterior_mean * slopes).abs().max() < 0.04
    assert (draws[:, missing].T.cov() - covariance).abs().max() < 0.03
    few = slice(0, 50)
    means = model.impute_mean(x[few], known[few], RowNoise(1, torch.arange(50)), num_samples=2000)
    means = network_from_scaled(means, VALUE_RANGE).flatten(1)[:, missing]
    assert (means - posterior_mean * slopes).abs().max() < 0.12
    assert (means.mean(0) - posterior_mean * slopes).abs().max() < 0.02


def test_a_network_that_diverged_gives_no_draw_that_looks_like_one() -> None:
    """Weights that are not numbers end in pixels that are not."""
    model = MIWAEModel(exact_encoder, lambda z: decoder(z) * float("nan"), (1, 3, 3))
    draw = model.impute_draw(IMAGE, OBSERVED, RowNoise(0, torch.arange(1)), num_samples=3)
    assert not draw.isfinite().any()


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 7.0])
def test_missing_pixels_never_enter(garbage: float) -> None:
    """Loss and gradient, to the bit."""

    def loss_and_gradient(image: Tensor) -> tuple[Tensor, Tensor]:
        weight = torch.ones((), requires_grad=True)
        loss = importance_weighted_loss(
            lambda inputs: weight * exact_encoder(inputs), lambda z: weight * decoder(z), image, OBSERVED, num_samples=3
        )(torch.arange(1), torch.Generator().manual_seed(2))
        loss.backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        return loss.detach(), weight.grad

    expected = loss_and_gradient(torch.where(OBSERVED, IMAGE, 0.0))
    poisoned = loss_and_gradient(torch.where(OBSERVED, IMAGE, garbage))
    assert expected[0].isfinite()
    assert all(torch.equal(*pair) for pair in zip(expected, poisoned, strict=True))
