"""Self-guidance: the gradient against closed forms and finite differences, its norm, and what it must not depend on."""

from typing import Any

import pytest
import torch
from support.exact import Mixture, gaussian
from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.diffusion.sde import VPSDE
from ldmiss.sampling.guidance import rescale_to, self_guided_score
from ldmiss.sampling.samplers import sample_from_prior

SDE = VPSDE()
GENERATOR = torch.Generator().manual_seed(0)
_FACTORS = torch.randn(2, 4, 4, dtype=torch.float64, generator=GENERATOR)
MODEL = Mixture(  # in 4 dimensions, seen as 1 x 2 x 2 images
    torch.tensor([0.4, 0.6], dtype=torch.float64),
    torch.randn(2, 4, dtype=torch.float64, generator=GENERATOR),
    _FACTORS @ _FACTORS.mT / 4 + 0.1 * torch.eye(4, dtype=torch.float64),
)
Z_T, X_OBS = torch.randn(2, 6, 1, 2, 2, dtype=torch.float64, generator=GENERATOR)
OBSERVED = torch.tensor([[1, 0, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 1]]).bool()
OBSERVED = OBSERVED.reshape(Z_T.shape)
T = torch.tensor(0.3, dtype=torch.float64)


def decode(z: Tensor) -> Tensor:
    """A decoder that bends and mixes."""
    return (z + 0.3 * z.flip(-1)).tanh()


def score_of(x_obs: Tensor = X_OBS, observed: Tensor = OBSERVED, rows: slice = slice(None), **kwargs: Any) -> Tensor:
    """The guided score of the mixture at Z_T."""
    guided = self_guided_score(MODEL.denoiser(SDE), decode, x_obs[rows], observed[rows], **kwargs)
    return guided(Z_T[rows], T)


def test_guidance_has_the_norm_of_the_score() -> None:
    """Row by row |g| = |s| ("equal magnitude", paper section 5), and g is proportional to the weight."""
    score = MODEL.denoiser(SDE).score(Z_T, T)
    guidance = score_of() - score
    some = OBSERVED.flatten(1).any(1)
    torch.testing.assert_close(guidance.flatten(1).norm(dim=1)[some], score.flatten(1).norm(dim=1)[some])
    torch.testing.assert_close(score_of(weight=0.25) - score, 0.25 * guidance)
    assert torch.equal(score_of(weight=0.0), score)


def test_direction_is_the_gradient_of_the_residual() -> None:
    """g points along -grad 1/2 |m (x_obs - D(E[z_0 | z_t]))|^2, the gradient taken by central differences."""

    def objective(z_t: Tensor) -> Tensor:
        _, z_0 = MODEL.denoiser(SDE).score_and_x_0(z_t, T)
        return -0.5 * ((X_OBS - decode(z_0)) * OBSERVED).square().flatten(1).sum(1)

    step = 1e-5
    moves = step * torch.eye(4, dtype=torch.float64).reshape(4, 1, 2, 2)
    gradient = torch.stack([(objective(Z_T + move) - objective(Z_T - move)) / (2 * step) for move in moves], dim=1)
    guidance = (score_of() - MODEL.denoiser(SDE).score(Z_T, T)).flatten(1)
    cosine = torch.nn.functional.cosine_similarity(guidance, gradient, dim=1)
    some = OBSERVED.flatten(1).any(1)
    torch.testing.assert_close(cosine[some], torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-8)


def test_direction_in_closed_form_for_a_gaussian() -> None:
    """On one Gaussian and in pixel space g is along J m (x_obs - z_0), with J = a C (a^2 C + s^2)^-1 (Eq. 5)."""
    model = gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 0.5]])
    z_t, x_obs = torch.tensor([[0.2, 0.4]], dtype=torch.float64), torch.tensor([[1.5, 9.0]], dtype=torch.float64)
    observed = torch.tensor([[True, False]])
    denoiser = model.denoiser(SDE)
    score, z_0 = denoiser.score_and_x_0(z_t, T)
    alpha, sigma = SDE.marginal_prob(T)
    jacobian = (
        alpha * model.covariances[0] @ torch.linalg.inv(alpha**2 * model.covariances[0] + sigma**2 * torch.eye(2))
    )
    expected = rescale_to(((x_obs - z_0) * observed) @ jacobian, score)
    guided = self_guided_score(denoiser, lambda z: z, x_obs, observed)(z_t, T)
    torch.testing.assert_close(guided - score, expected)


def test_rows_do_not_see_their_batch_mates() -> None:
    """Each row alone gives what it gives in the batch: norms are per row, and the loss is a sum over rows."""
    together = score_of()
    alone = torch.cat([score_of(rows=slice(i, i + 1)) for i in range(len(Z_T))])
    torch.testing.assert_close(alone, together, rtol=1e-12, atol=1e-12)  # float64; sums in another order


def test_nothing_observed_gives_the_unconditional_score() -> None:
    """No guidance and no NaN where nothing is observed."""
    nothing = torch.zeros_like(OBSERVED)
    assert torch.equal(score_of(observed=nothing), MODEL.denoiser(SDE).score(Z_T, T))
    assert torch.equal(score_of()[2], MODEL.denoiser(SDE).score(Z_T, T)[2])  # row 2 of a mixed batch


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_values_at_missing_positions_are_never_used(garbage: float) -> None:
    """Whatever x_obs holds at missing positions, the guided score is the same bit for bit."""
    assert torch.equal(score_of(x_obs=torch.where(OBSERVED, X_OBS, garbage)), score_of())


def test_leaves_no_graph_and_works_without_gradients() -> None:
    """Inside `no_grad`, as the samplers run it, guidance still works, and nothing it returns holds on to a graph."""
    inside = score_of()
    assert not inside.requires_grad
    with torch.no_grad():
        assert torch.equal(score_of(), inside)


def test_rescale_to_keeps_zero_rows() -> None:
    """Known norms; a zero row stays zero and a zero reference gives zero, never NaN."""
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    reference = torch.tensor([[0.0, 10.0], [1.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(rescale_to(vectors, reference), torch.tensor([[6.0, 8.0], [0.0, 0.0], [0.0, 0.0]]))


STEPS = {"euler_maruyama": 150, "ancestral": 300, "sde_dpm_solver_pp": 50}
"""Numbers of steps, by sampler whose guided law is near the posterior (the ODE solvers: test_conditional_laws)."""


def guided_samples(correlation: float, sampler: str) -> Tensor:
    """4000 guided samples of a correlated standard Gaussian whose first coordinate is observed at 2; float32."""
    model = gaussian([0.0, 0.0], [[1.0, correlation], [correlation, 1.0]])
    x_obs, observed = torch.tensor([2.0, float("nan")]).expand(4000, 2), torch.tensor([True, False])
    noise = RowNoise(0, torch.arange(4000))
    score = self_guided_score(model.denoiser(SDE), lambda z: z, x_obs, observed)
    prior = noise(torch.empty(4000, 2))
    return sample_from_prior(sampler, score, SDE, prior, num_steps=STEPS[sampler], tau=1e-3, noise=noise)


@pytest.mark.parametrize("sampler", STEPS)
def test_independent_coordinates_are_left_alone(sampler: str) -> None:
    """Without correlation the missing coordinate keeps its own law N(0, 1): guidance has no component along it.

    Tolerances are 4 standard errors of 4000 samples.
    """
    x = guided_samples(0.0, sampler)
    assert x[:, 0].mean() > 1.5  # pulled from 0 towards 2
    assert x[:, 1].mean() == pytest.approx(0.0, abs=4 / 4000**0.5)
    assert x[:, 1].std() == pytest.approx(1.0, abs=4 / 8000**0.5)


@pytest.mark.parametrize("sampler", STEPS)
def test_guidance_pulls_correlated_coordinates_along(sampler: str) -> None:
    """With correlation .9 the missing coordinate, 0 on its own, moves near its conditional mean 1.8 and narrows.

    Not more than near: the push has the score's norm and not a likelihood's, so the draws are no exact posterior.
    """
    x = guided_samples(0.9, sampler)
    assert x[:, 1].mean() == pytest.approx(1.8, abs=0.2)
    assert x[:, 1].std() < 0.7


def test_no_guidance_above_t_max() -> None:
    """At t > t_max the score is the unconditional one, at t <= t_max the guided one."""
    assert torch.equal(score_of(t_max=0.29), MODEL.denoiser(SDE).score(Z_T, T))
    assert torch.equal(score_of(t_max=0.31), score_of())


def test_gradient_without_the_score_network() -> None:
    """backprop_score=False: along the decoder's gradient at the posterior mean, taken as it is; same norm."""
    score, z_0 = MODEL.denoiser(SDE).score_and_x_0(Z_T, T)
    moved = z_0.clone().requires_grad_(True)
    (-0.5 * ((X_OBS - decode(moved)) * OBSERVED).square().sum()).backward()
    assert moved.grad is not None
    guided = score_of(backprop_score=False)
    torch.testing.assert_close(guided, score + rescale_to(moved.grad, score))
    assert not torch.allclose(guided, score_of(), rtol=1e-3)
