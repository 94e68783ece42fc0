"""DiffPuter: normalisation, conditional draws and EM, on Gaussians whose EDM denoiser is exact."""

from dataclasses import dataclass, field

import pytest
import torch
from support.exact import Impulses, Mixture, conditional, gaussian
from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.diffputer.edm import DenoiseFn, karras_sigmas
from ldmiss.diffputer.em import (
    Normalizer,
    Sampling,
    average_draws,
    draw_conditional,
)
from ldmiss.training.em import expectation_maximisation

NAN = float("nan")
MODEL = gaussian([0.1, -0.2], [[0.25, 0.225], [0.225, 0.25]])
OBSERVED = torch.tensor([True, False])
X_OBS = torch.tensor([0.6, NAN], dtype=torch.float64)


@dataclass
class Fitted:
    """A denoiser that keeps its model and counts its evaluations."""

    model: Mixture
    count: int = field(default=0)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x_0 | x]."""
        self.count += 1
        return self.model.edm_denoise(x, sigma)


def test_normalizer_by_hand() -> None:
    """Moments over observed entries only, to std 0.5; a floor under the std; never observed: the mean of all."""
    x = torch.tensor([[1.0, 5.0, NAN], [3.0, 5.0, NAN], [NAN, 5.0, NAN]])
    normalizer = Normalizer.fit(x, ~x.isnan(), std_floor=0.05)
    torch.testing.assert_close(normalizer.mean, torch.tensor([2.0, 5.0, 3.8]))
    torch.testing.assert_close(normalizer.std, torch.tensor([1.0, 0.05, 0.05]))
    assert normalizer.normalize(torch.tensor([[3.0, 5.05, 3.8]]))[0].tolist() == pytest.approx(
        [0.5, 0.5, 0.0], abs=1e-5
    )


def test_normalizer_never_uses_missing_values() -> None:
    """Whatever stands at missing entries, the moments are the same bit for bit."""
    generator = torch.Generator().manual_seed(0)
    x, observed = torch.rand(20, 3, generator=generator), torch.rand(20, 3, generator=generator) < 0.5
    one, other = (Normalizer.fit(torch.where(observed, x, value), observed, std_floor=0.05) for value in (NAN, 1e9))
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.std, other.std)


def test_normalizer_round_trip_and_scale() -> None:
    """Normalised columns have mean 0 and std 0.5 = sigma_data, and come back to pixel units."""
    x = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 0.2, 5.0])
    normalizer = Normalizer.fit(x, torch.ones_like(x).bool(), std_floor=1e-6)
    z = normalizer.normalize(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(z.std(0, correction=0), torch.full((3,), 0.5))
    torch.testing.assert_close(normalizer.denormalize(z), x)


def exact_draw(num_steps: int, num_resamples: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance, without sampling error, of draws for a row whose first coordinate is observed."""
    sampling = Sampling(num_steps, num_resamples)
    calls = 1 + (num_steps - 1) * num_resamples  # the prior, and one per repetition
    noise = Impulses(calls, 2)
    x_obs, observed = X_OBS.expand(noise.num_rows, 2), OBSERVED.expand(noise.num_rows, 2)
    return noise.moments(draw_conditional(MODEL.edm_denoise, x_obs, observed, noise, sampling))


def test_draws_have_the_conditional_moments() -> None:
    """The authors' 20 repetitions bring a correlation of .9 within a few per cent; the observed value is exact."""
    mean, covariance = exact_draw(50, 20)
    expected_mean, expected_variance = conditional(MODEL, OBSERVED, X_OBS)
    assert mean[0] == X_OBS[0]
    assert covariance[0].tolist() == [0.0, 0.0]
    assert float(mean[1]) == pytest.approx(float(expected_mean), abs=0.015)  # .25; the marginal mean is -.2
    assert float(covariance[1, 1]) == pytest.approx(float(expected_variance), rel=0.07)  # .0475; the marginal is .25


def test_resampling_is_what_makes_draws_conditional() -> None:
    """More repetitions, less of replacement's bias towards the marginal mean."""
    expected = conditional(MODEL, OBSERVED, X_OBS)[0]
    errors = [float((exact_draw(25, n)[0][1] - expected).abs()) for n in (1, 5, 20)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_known_part_is_noised_to_the_level_reached() -> None:
    """At a repetition's start it is x_obs + sigma z: the level is the next one, or the same again, raised by the churn.

    Seen by the denoiser, with all noise equal to 1; the first state is the prior.
    """
    states: list[float] = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        states.append(float(x[0, 0]))
        return x

    sampling, raised = Sampling(num_steps=3, num_resamples=2), [4 / 3 * sigma for sigma in karras_sigmas(3).tolist()]
    draw_conditional(denoise, X_OBS[None], OBSERVED[None], torch.ones_like, sampling)  # type: ignore[arg-type]
    expected = [raised[0], *(0.6 + sigma for sigma in (raised[0], raised[1], raised[1], raised[2]))]
    assert states[::2] == pytest.approx(expected)  # the first of the two evaluations of each step


@pytest.mark.parametrize(("num_steps", "num_resamples", "expected"), [(50, 20, 1961), (6, 2, 21), (2, 1, 3)])
def test_number_of_evaluations(num_steps: int, num_resamples: int, expected: int) -> None:
    """(steps - 1) * repetitions * 2 + 1, 1961 at the authors' settings, is what a draw really costs."""
    levels, sampling = [], Sampling(num_steps, num_resamples)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        levels.append(float(sigma))
        return MODEL.edm_denoise(x, sigma)

    draw_conditional(denoise, X_OBS[None], OBSERVED[None], RowNoise(0, torch.arange(1)), sampling)
    assert len(levels) == sampling.num_evaluations() == expected
    assert max(levels) == pytest.approx(80 * (1 + min(1 / num_steps, 2**0.5 - 1)))  # churn 1 is the authors'


def test_missing_values_never_enter_and_observed_ones_stay() -> None:
    """Draws are the same whatever stands at missing positions, and hold the observed values bit for bit."""
    generator = torch.Generator().manual_seed(0)
    x, observed = torch.randn(8, 2, generator=generator), torch.rand(8, 2, generator=generator) < 0.5

    def draw(garbage: float) -> Tensor:
        x_obs = torch.where(observed, x, garbage)
        return draw_conditional(MODEL.edm_denoise, x_obs, observed, RowNoise(0, torch.arange(8)), Sampling(5, 2))

    assert torch.equal(draw(0.0), draw(NAN))
    assert torch.equal(draw(NAN)[observed], x[observed])


def test_average_draws() -> None:
    """The mean of the draws numbered 0, 1, 2 of the same rows, with observed values bit for bit."""
    x_obs = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    observed, rows = OBSERVED.expand(40, 2), torch.arange(10, 50)
    draws = [
        draw_conditional(MODEL.edm_denoise, x_obs, observed, RowNoise(7, rows, rows * 0 + k), Sampling(5, 2))
        for k in range(3)
    ]
    average = average_draws(MODEL.edm_denoise, x_obs, observed, rows, Sampling(5, 2), num_trials=3, seed=7)
    torch.testing.assert_close(average, torch.stack(draws).mean(0))
    assert torch.equal(average[observed], x_obs[observed])
    assert not torch.allclose(draws[0], draws[1])


@pytest.mark.parametrize(("iterations", "expected"), [(range(3), "M0 E0 M1 E1 M2"), (range(2, 3), "M2")])
def test_em_alternates(iterations: range, expected: str) -> None:
    """M and E in turn, each given what the other made; no E-step after the last model; a run can start later."""
    order: list[str] = []

    def m_step(iteration: int, rows: Tensor) -> Fitted:
        assert rows.tolist() == [[float(iteration - iterations[0])]]
        order.append(f"M{iteration}")
        return Fitted(MODEL, count=iteration)

    def e_step(iteration: int, denoise: DenoiseFn) -> Tensor:
        assert isinstance(denoise, Fitted)
        assert denoise.count == iteration
        order.append(f"E{iteration}")
        return torch.tensor([[float(iteration - iterations[0] + 1)]])

    last = expectation_maximisation(torch.zeros(1, 1), steps=iterations, m_step=m_step, e_step=e_step)
    assert " ".join(order) == expected
    assert isinstance(last, Fitted)
    assert last.count == iterations[-1]


def test_em_improves_the_model() -> None:
    """With M-steps that fit a Gaussian, EM takes the fit of mean-imputed rows nearly to the law of the data.

    Measured by the error of the fitted model's conditional means; the law itself has the lowest.
    """
    generator = torch.Generator().manual_seed(0)
    factor = torch.tensor([[0.5, 0.0, 0.0], [0.45, 0.2, 0.0], [0.4, 0.1, 0.28]])
    truth = torch.randn(300, 3, generator=generator) @ factor.T
    observed = torch.rand(300, 3, generator=generator) >= 0.4
    start = torch.where(observed, truth, 0.0)  # the feature means, in normalised units
    rows, sampling = torch.arange(300), Sampling(num_steps=10, num_resamples=5)

    def m_step(_: int, completed: Tensor) -> Fitted:
        return Fitted(gaussian(completed.mean(0).tolist(), completed.T.cov().tolist()))

    def e_step(iteration: int, denoise: DenoiseFn) -> Tensor:
        return average_draws(denoise, start, observed, rows, sampling, num_trials=2, seed=iteration)

    def error(model: Mixture) -> float:
        completed = truth.double()
        for row, known in zip(completed, observed, strict=True):
            row[~known] = conditional(model, known, row)[0]
        return float((completed - truth)[~observed].square().mean())

    def error_after(num_iterations: int) -> float:
        last = expectation_maximisation(start, steps=range(num_iterations), m_step=m_step, e_step=e_step)
        assert isinstance(last, Fitted)
        return error(last.model)

    best = error(gaussian([0, 0, 0], (factor @ factor.T).tolist()))
    errors = [error_after(1), error_after(2), error_after(4)]
    assert errors[0] > 1.15 * best
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1.08 * best  # 1.02 to 1.07 over 24 seeds of the draws
