"""What the re-masking methods minimise: least at the exact conditional law, and never a function of missing values."""

from collections.abc import Callable

import pytest
import torch
from support.exact import Mixture, conditionals
from torch import Tensor

from ldmiss.conditional.objective import conditional_loss
from ldmiss.core.pixels import scaled_from_network
from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.sde import VPSDE
from ldmiss.regression.constants import MIN_SD
from ldmiss.regression.objective import regression_loss
from ldmiss.remasking.network import VALUE_RANGE
from ldmiss.training.loop import BatchLoss

ROWS, DIM = 4000, 9
POSITIONS = torch.arange(DIM)
COVARIANCE = 0.25 * 0.8 ** (POSITIONS[:, None] - POSITIONS[None, :]).abs().double()
MODEL = Mixture(torch.ones(1, dtype=torch.float64), torch.full((1, DIM), 0.2, dtype=torch.float64), COVARIANCE[None])
SEEDED = torch.Generator().manual_seed(0)
CHAIN = 0.2 + torch.randn(ROWS, DIM, dtype=torch.float64, generator=SEEDED) @ torch.linalg.cholesky(COVARIANCE).T
IMAGES = scaled_from_network(CHAIN.float().reshape(ROWS, 1, 3, 3), VALUE_RANGE)
OBSERVED = torch.rand(IMAGES.shape, generator=SEEDED) < 0.6
SDE = VPSDE()
Forward = Callable[[Tensor, Tensor, torch.Generator | None], Tensor]


def exact_regression(*, of_mean: float = 1.0, of_sd: float = 1.0) -> Forward:
    """Outputs that give the exact conditional mean and sd, or factors of them."""

    def forward(inputs: Tensor, t: Tensor, generator: torch.Generator | None) -> Tensor:
        given, known = inputs.flatten(2).unbind(1)
        means, covariances = conditionals(MODEL, known.bool(), given)
        sd = of_sd * covariances.diagonal(dim1=1, dim2=2).clamp(min=1e-4).sqrt()
        raw = (sd - MIN_SD).expm1().log()  # softplus is undone
        return torch.stack([of_mean * means, raw], 1).reshape(-1, 2, 3, 3).float()

    return forward


def exact_velocity(factor: float = 1.0) -> Forward:
    """The exact velocity of the hidden pixels, or a factor of it."""

    def forward(inputs: Tensor, t: Tensor, generator: torch.Generator | None) -> Tensor:
        given, known, x_t, hidden = inputs.flatten(2).unbind(1)
        means, covariances = conditionals(MODEL, known.bool(), given)
        alpha, sigma = (append_dims(part, x_t) for part in SDE.marginal_prob(t.double()))
        # Pixels that are not hidden tell nothing: their noise is as good as infinite.
        noise = torch.where(hidden.bool(), sigma**2, 1e12)
        noisy = alpha[:, :, None] ** 2 * covariances + torch.diag_embed(noise)
        deviation = torch.where(hidden.bool(), x_t - alpha * means, 0.0)
        x_0 = means + alpha * (covariances @ torch.linalg.solve(noisy, deviation[:, :, None]))[:, :, 0]
        v = alpha * (x_t - alpha * x_0) / sigma - sigma * x_0
        return factor * v.float().reshape(-1, 1, 3, 3)

    return forward


def regression(forward: Forward, images: Tensor = IMAGES) -> BatchLoss:
    return regression_loss(forward, images, OBSERVED, min_kept=0.2)


def conditional(forward: Forward, images: Tensor = IMAGES) -> BatchLoss:
    return conditional_loss(forward, SDE, images, OBSERVED, tau=1e-3, min_kept=0.2)


def value(loss: BatchLoss) -> float:
    """On all images, with the same draws at every call."""
    return float(loss(torch.arange(ROWS), torch.Generator().manual_seed(1)))


def test_the_exact_mean_and_spread_are_where_regression_is_least() -> None:
    """A twentieth more or less of either is worse."""
    least = value(regression(exact_regression()))
    for factor in (0.95, 1.05):
        assert value(regression(exact_regression(of_mean=factor))) > least
        assert value(regression(exact_regression(of_sd=factor))) > least


def test_the_exact_velocity_is_where_conditional_diffusion_is_least() -> None:
    """A twentieth more or less is worse."""
    least = value(conditional(exact_velocity()))
    assert value(conditional(exact_velocity(0.95))) > least
    assert value(conditional(exact_velocity(1.05))) > least


def test_the_mean_learns_from_the_squared_error_alone() -> None:
    """The likelihood moves the spread only."""
    mean = torch.zeros(ROWS, 1, 3, 3, requires_grad=True)
    raw = torch.zeros(ROWS, 1, 3, 3, requires_grad=True)
    seen: list[Tensor] = []

    def forward(inputs: Tensor, t: Tensor, generator: torch.Generator | None) -> Tensor:
        seen.append(inputs[:, 1:] > 0)
        return torch.cat([mean, raw], dim=1)

    regression(forward)(torch.arange(ROWS), torch.Generator().manual_seed(1)).backward()  # type: ignore[no-untyped-call]
    hidden = OBSERVED & ~seen[0]
    expected = torch.where(hidden, -2 * (2 * IMAGES - 1), 0.0) / hidden.sum()
    assert mean.grad is not None
    torch.testing.assert_close(mean.grad, expected)
    assert raw.grad is not None
    assert bool((raw.grad[hidden] != 0).all())
    assert not raw.grad[~hidden].any()


def test_the_denoiser_is_shown_what_is_given_and_noise_where_something_is_hidden() -> None:
    """Never the answer: given and hidden are disjoint, and together what is known; times are all there are."""
    seen: list[tuple[Tensor, Tensor]] = []

    def forward(inputs: Tensor, t: Tensor, generator: torch.Generator | None) -> Tensor:
        seen.append((inputs, t))
        return torch.zeros_like(inputs[:, :1])

    conditional(forward)(torch.arange(ROWS), torch.Generator().manual_seed(1))
    inputs, t = seen[0]
    x, given, x_t, hidden = inputs.split(1, dim=1)
    assert not (given * hidden).any()
    assert torch.equal(given + hidden, OBSERVED.float())
    assert torch.equal(x, torch.where(given > 0, 2 * IMAGES - 1, 0.0))
    assert not x_t[hidden == 0].any()
    eps = (x_t - append_dims(SDE.marginal_prob(t)[0], x_t) * (2 * IMAGES - 1)) / append_dims(
        SDE.marginal_prob(t)[1], x_t
    )
    assert abs(float(eps[hidden > 0].std()) - 1) < 0.02
    assert abs(float(eps[hidden > 0].mean())) < 0.02
    assert t.min() < 0.01
    assert abs(float(t.mean()) - 0.5) < 0.02
    assert t.max() > 0.99


def test_the_denoiser_learns_from_hidden_pixels_alone() -> None:
    """The gradient with respect to its output is zero at all others, and at no hidden one."""
    velocity = torch.zeros(ROWS, 1, 3, 3, requires_grad=True)
    hidden: list[Tensor] = []

    def forward(inputs: Tensor, t: Tensor, generator: torch.Generator | None) -> Tensor:
        hidden.append(inputs[:, 3:] > 0)
        return velocity

    conditional(forward)(torch.arange(ROWS), torch.Generator().manual_seed(1)).backward()  # type: ignore[no-untyped-call]
    assert velocity.grad is not None
    assert torch.equal(velocity.grad != 0, hidden[0])


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 7.0])
@pytest.mark.parametrize("kind", ["regression", "conditional"])
def test_missing_pixels_never_enter(kind: str, garbage: float) -> None:
    """Neither the loss nor its gradient changes a bit; with another value at a known pixel the loss does."""

    def loss_and_gradient(images: Tensor) -> tuple[Tensor, Tensor]:
        weight = torch.ones((), requires_grad=True)
        channels = 2 if kind == "regression" else 1

        def forward(inputs: Tensor, t: Tensor, generator: torch.Generator | None) -> Tensor:
            return weight * inputs.sum(1, keepdim=True).roll(1, dims=-1).expand(-1, channels, -1, -1)

        made = regression(forward, images) if kind == "regression" else conditional(forward, images)
        loss = made(torch.arange(ROWS), torch.Generator().manual_seed(1))
        loss.backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        return loss.detach(), weight.grad

    expected = loss_and_gradient(torch.where(OBSERVED, IMAGES, 0.0))
    poisoned = loss_and_gradient(torch.where(OBSERVED, IMAGES, garbage))
    assert all(torch.equal(*pair) for pair in zip(expected, poisoned, strict=True))
    assert not torch.equal(loss_and_gradient(torch.where(OBSERVED, 1 - IMAGES, 0.0))[0], expected[0])
