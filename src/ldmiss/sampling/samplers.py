"""Time grids and samplers: Euler-Maruyama (paper section 2, A.2.1), and those that need few steps.

Every sampler takes a score, guided or not, and turns it into what it integrates: a slope, or a posterior mean.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.core.noise import NoiseFn
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.parameterization import ScoreFn
from ldmiss.diffusion.sde import VPSDE
from ldmiss.sampling.time_grids import log_snr_time_grid, uniform_time_grid

Condition = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), t ()) -> x (B, ...): what is imposed on the state after each step, at the time it has reached."""


def euler_maruyama(
    score: ScoreFn,
    sde: VPSDE,
    x: Tensor,
    *,
    time_grid: Tensor,
    noise: NoiseFn,
    condition: Condition | None = None,
    num_resamples: int = 1,
    saved: SavedSteps = NOT_SAVED,
) -> Tensor:
    """Integrate the reverse SDE dx = [f - g^2 score] dt + g dw from time_grid[0] down to time_grid[-1].

    The last step returns the mean without its noise, as Song's `noise_removal=True`.

    Args:
        score: the score, or a guided one.
        sde: the forward process.
        x: the state at time_grid[0], (B, ...).
        time_grid: decreasing times, (num_steps + 1,).
        noise: the source of each step's noise.
        condition: imposed after every step at the time reached (replacement imputation).
        num_resamples: times each step but the last is taken, with forward noise back to its start in between, so that
            imposed and free dimensions come to agree (RePaint, Lugmayr et al. 2022); 1 in the paper.
        saved: where the state is kept after every step.

    Returns:
        (B, ...), the state at time_grid[-1].
    """
    last = len(time_grid) - 2
    first, (x,) = saved.restore(x)
    for i in range(first, last + 1):
        t, t_next = time_grid[i], time_grid[i + 1]
        dt = t_next - t
        g = append_dims(sde.diffusion(t), x)
        num_repeats = num_resamples if i < last else 1
        for repeat in range(num_repeats):
            x = x + (sde.drift(x, t) - g**2 * score(x, t)) * dt
            if i < last:
                x = x + g * (-dt).sqrt() * noise(x)
            if condition is not None:
                x = condition(x, t_next)
            if repeat < num_repeats - 1:
                x = sde.transition(x, t_next, t, noise(x))
        saved.offer(i + 1, x)
    return x


def posterior_mean(score: ScoreFn, sde: VPSDE, x: Tensor, t: Tensor) -> Tensor:
    """E[x_0 | x_t = x] = (x + sigma_t^2 score) / alpha_t, (B, ...) (Tweedie); given a guided score, the guided mean."""
    alpha, sigma = sde.marginal_prob(t)
    return (x + append_dims(sigma, x) ** 2 * score(x, t)) / append_dims(alpha, x)


def probability_flow_heun(
    score: ScoreFn, sde: VPSDE, x: Tensor, *, time_grid: Tensor, saved: SavedSteps = NOT_SAVED
) -> Tensor:
    """Integrate dx/dt = f - g^2 score / 2 with Heun's method, second order; the last step takes the posterior mean.

    No noise but that of `x`, the state at time_grid[0], (B, ...). Two evaluations per step, one for the last.
    (Song et al. 2021, section 4.3; Heun as in Karras et al. 2022.)
    """

    def slope(x: Tensor, t: Tensor) -> Tensor:
        return sde.drift(x, t) - 0.5 * append_dims(sde.beta(t), x) * score(x, t)

    first, (x,) = saved.restore(x)
    for i in range(first, len(time_grid) - 2):
        t, t_next = time_grid[i], time_grid[i + 1]
        d_cur = slope(x, t)
        d_next = slope(x + (t_next - t) * d_cur, t_next)
        x = x + (t_next - t) * 0.5 * (d_cur + d_next)
        saved.offer(i + 1, x)
    return posterior_mean(score, sde, x, time_grid[-2])


def dpm_solver_pp(
    score: ScoreFn,
    sde: VPSDE,
    x: Tensor,
    *,
    time_grid: Tensor,
    order: int = 2,
    noise: NoiseFn | None = None,
    saved: SavedSteps = NOT_SAVED,
) -> Tensor:
    """DPM-Solver++: exact in the linear part, so that only the posterior mean is approximated over a step.

    order 1: the mean is taken as constant. Without noise that is DDIM (Song, Meng and Ermon 2021, Eq. 12 with eta = 0),
        with noise DDPM's ancestral sampling (their Eq. 16, eta = 1).
    order 2: extrapolated from the step before, the multistep "2M" (Lu et al. 2022b, Algorithm 2; with noise
        SDE-DPM-Solver++(2M), their section 4 and Appendix B). The first and the last step are of order 1.

    One evaluation per step; the last step takes the posterior mean.

    Args:
        score, sde, x, time_grid, saved: as `euler_maruyama`.
        order: 1 or 2.
        noise: of the reverse SDE; without it the probability-flow ODE is solved.
    """
    first, (x, *previous) = saved.restore(x)  # previous: x_0 predicted a step earlier, that step's size in log-SNR
    for i in range(first, len(time_grid) - 2):
        t, t_next = time_grid[i], time_grid[i + 1]
        (_, sigma), (alpha_next, sigma_next) = sde.marginal_prob(t), sde.marginal_prob(t_next)
        step = sde.log_snr(t_next) - sde.log_snr(t)
        x_0 = posterior_mean(score, sde, x, t)
        extrapolated = x_0 if not previous or order == 1 else x_0 + 0.5 * step / previous[1] * (x_0 - previous[0])
        if noise is None:
            x = sigma_next / sigma * x - alpha_next * torch.expm1(-step) * extrapolated
        else:
            gain = -torch.expm1(-2 * step)
            x = sigma_next / sigma * (-step).exp() * x + alpha_next * gain * extrapolated
            x = x + sigma_next * gain.sqrt() * noise(x)
        previous = [x_0, step]
        saved.offer(i + 1, x, *previous)
    return posterior_mean(score, sde, x, time_grid[-2])


_DPM_SOLVERS = {
    "ddim": (1, False), "dpm_solver_pp": (2, False), "ancestral": (1, True), "sde_dpm_solver_pp": (2, True),
}  # fmt: skip
"""Name -> order of `dpm_solver_pp`, and whether it takes noise."""

SAMPLERS = ("euler_maruyama", "heun", *_DPM_SOLVERS)
"""Samplers by name; the first is the paper's, and it and the last two add noise on the way."""


def sample_from_prior(
    sampler: str,
    score: ScoreFn,
    sde: VPSDE,
    x: Tensor,
    *,
    num_steps: int,
    tau: float,
    noise: NoiseFn,
    saved: SavedSteps = NOT_SAVED,
    t_start: float = 1.0,
) -> Tensor:
    """The prior's x, (B, ...), brought to time 0 by the named sampler, on the time grid that suits it.

    Args:
        sampler: one of `SAMPLERS`.
        score: unconditional, or guided.
        sde: the forward process.
        x: the state at t_start; standard normal at time 1.
        num_steps: steps; what they cost is `num_evaluations`.
        tau: smallest time at which the network is asked.
        noise: the source of each step's noise, for the samplers that add some.
        saved: where the state is kept after every step.
        t_start: where sampling begins. Below 1, standard normal numbers stand for p_t with a bias: at 0.4 the data
            are in it with weight alpha_t = 0.44.

    Raises:
        ValueError: unknown sampler.
    """
    if sampler == "euler_maruyama":
        grid = uniform_time_grid(num_steps, tau, x.device, t_start=t_start)
        return euler_maruyama(score, sde, x, time_grid=grid, noise=noise, saved=saved)
    grid = log_snr_time_grid(sde, num_steps, tau, x.device, t_start=t_start)
    if sampler == "heun":
        return probability_flow_heun(score, sde, x, time_grid=grid, saved=saved)
    if sampler in _DPM_SOLVERS:
        order, noisy = _DPM_SOLVERS[sampler]
        noise_or_none = noise if noisy else None
        return dpm_solver_pp(score, sde, x, time_grid=grid, order=order, noise=noise_or_none, saved=saved)
    raise ValueError(f"unknown sampler {sampler!r}; allowed: {', '.join(SAMPLERS)}")


def num_evaluations(sampler: str, num_steps: int) -> int:
    """Evaluations of the score that a sampler's steps take: one each, two with "heun" but for the last."""
    return 2 * num_steps - 1 if sampler == "heun" else num_steps
