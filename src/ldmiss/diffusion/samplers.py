"""Time grids, Euler-Maruyama for the reverse SDE (paper section 2, A.2.1), two solvers of the probability-flow ODE."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.diffusion.broadcast import append_dims
from ldmiss.diffusion.parameterization import Denoiser, ScoreFn
from ldmiss.diffusion.sde import VPSDE

NoiseFn = Callable[[Tensor], Tensor]
"""x -> standard normal noise of the shape and on the device of x."""

Condition = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), t ()) -> x (B, ...): what is imposed on the state after each step, at the time it has reached."""


def uniform_time_grid(num_steps: int, tau: float, device: torch.device | str = "cpu") -> Tensor:
    """num_steps + 1 times: 1 to tau in equal steps, then 0; float32.

    For num_steps = 1000 and tau = 1e-3 every difference is 1/1000, as in Song's sampler.
    """
    return _down_to_0(torch.linspace(1.0, tau, num_steps, dtype=torch.float64), device)


def log_snr_time_grid(sde: VPSDE, num_steps: int, tau: float, device: torch.device | str = "cpu") -> Tensor:
    """num_steps + 1 times: 1 to tau in equal steps of the log signal-to-noise ratio, then 0; float32.

    For the ODE solvers, whose error is even in it (Lu et al. 2022, DPM-Solver, section 3).
    """
    start, stop = sde.log_snr(torch.tensor([1.0, tau], dtype=torch.float64)).tolist()
    return _down_to_0(sde.time_of_log_snr(torch.linspace(start, stop, num_steps, dtype=torch.float64)), device)


def _down_to_0(times: Tensor, device: torch.device | str) -> Tensor:
    if len(times) < 2:
        raise ValueError(f"num_steps must be at least 2, got {len(times)}")
    return torch.cat([times, times.new_zeros(1)]).to(device, torch.float32)


def euler_maruyama(
    score: ScoreFn,
    sde: VPSDE,
    x: Tensor,
    *,
    time_grid: Tensor,
    noise: NoiseFn,
    condition: Condition | None = None,
    num_resamples: int = 1,
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

    Returns:
        (B, ...), the state at time_grid[-1].
    """
    last = len(time_grid) - 2
    for i in range(last + 1):
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
    return x


def probability_flow_heun(denoiser: Denoiser, x: Tensor, *, time_grid: Tensor) -> Tensor:
    """Integrate dx/dt = f - g^2 score / 2 with Heun's method, second order; the last step takes the posterior mean.

    No noise but that of `x`, the state at time_grid[0], (B, ...). Two evaluations per step, one for the last.
    (Song et al. 2021, section 4.3; Heun as in Karras et al. 2022.)
    """
    sde = denoiser.sde

    def slope(x: Tensor, t: Tensor) -> Tensor:
        return sde.drift(x, t) - 0.5 * append_dims(sde.beta(t), x) * denoiser.score(x, t)

    for t, t_next in itertools.pairwise(time_grid[:-1]):
        d_cur = slope(x, t)
        d_next = slope(x + (t_next - t) * d_cur, t_next)
        x = x + (t_next - t) * 0.5 * (d_cur + d_next)
    return denoiser.score_and_x_0(x, time_grid[-2])[1]


def dpm_solver_pp(denoiser: Denoiser, x: Tensor, *, time_grid: Tensor) -> Tensor:
    """DPM-Solver++(2M): second-order multistep on the posterior mean (Lu et al. 2022b, Algorithm 2).

    One evaluation per step; the first and the last step are of first order, the last one gives the posterior mean.
    Arguments as `probability_flow_heun`.
    """
    sde = denoiser.sde
    previous: tuple[Tensor, Tensor] | None = None  # (x_0 predicted a step earlier, that step's size in log-SNR)
    for t, t_next in itertools.pairwise(time_grid[:-1]):
        (_, sigma), (alpha_next, sigma_next) = sde.marginal_prob(t), sde.marginal_prob(t_next)
        step = sde.log_snr(t_next) - sde.log_snr(t)
        x_0 = denoiser.score_and_x_0(x, t)[1]
        extrapolated = x_0 if previous is None else x_0 + 0.5 * step / previous[1] * (x_0 - previous[0])
        x = sigma_next / sigma * x - alpha_next * torch.expm1(-step) * extrapolated
        previous = x_0, step
    return denoiser.score_and_x_0(x, time_grid[-2])[1]


def sample_from_prior(
    sampler: str, denoiser: Denoiser, x: Tensor, *, num_steps: int, tau: float, noise: NoiseFn
) -> Tensor:
    """Unconditional samples from the prior's x, (B, ...), with the named sampler on the time grid that suits it.

    Args:
        sampler: "euler_maruyama" (the paper's), "heun" or "dpm_solver_pp".
        denoiser: score network and SDE.
        x: standard normal, the state at time 1.
        num_steps: steps; twice as many evaluations with "heun".
        tau: smallest time at which the network is asked.
        noise: used by "euler_maruyama" alone.

    Raises:
        ValueError: unknown sampler.
    """
    if sampler == "euler_maruyama":
        grid = uniform_time_grid(num_steps, tau, x.device)
        return euler_maruyama(denoiser.score, denoiser.sde, x, time_grid=grid, noise=noise)
    if sampler not in ODE_SOLVERS:
        raise ValueError(f"unknown sampler {sampler!r}; allowed: euler_maruyama, {', '.join(ODE_SOLVERS)}")
    return ODE_SOLVERS[sampler](denoiser, x, time_grid=log_snr_time_grid(denoiser.sde, num_steps, tau, x.device))


ODE_SOLVERS = {"heun": probability_flow_heun, "dpm_solver_pp": dpm_solver_pp}
"""The solvers of the probability-flow ODE by name."""
