"""Time grid and Euler-Maruyama integration of the reverse SDE (paper section 2, A.2.1; Song et al. 2021)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.diffusion.broadcast import append_dims
from ldmiss.diffusion.parameterization import ScoreFn
from ldmiss.diffusion.sde import VPSDE

NoiseFn = Callable[[Tensor], Tensor]
"""x -> standard normal noise of the shape and on the device of x."""

Condition = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), t ()) -> x (B, ...): what is imposed on the state after each step, at the time it has reached."""


def uniform_time_grid(num_steps: int, tau: float, device: torch.device | str = "cpu") -> Tensor:
    """num_steps + 1 times: 1 to tau in equal steps, then 0; float32.

    For num_steps = 1000 and tau = 1e-3 every difference is 1/1000, as in Song's sampler.
    """
    if num_steps < 2:
        raise ValueError(f"num_steps must be at least 2, got {num_steps}")
    grid = torch.linspace(1.0, tau, num_steps, dtype=torch.float64)
    return torch.cat([grid, torch.zeros(1, dtype=torch.float64)]).to(device, torch.float32)


def euler_maruyama(
    score: ScoreFn,
    sde: VPSDE,
    x: Tensor,
    *,
    time_grid: Tensor,
    noise: NoiseFn,
    condition: Condition | None = None,
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

    Returns:
        (B, ...), the state at time_grid[-1].
    """
    last = len(time_grid) - 2
    for i in range(last + 1):
        t, t_next = time_grid[i], time_grid[i + 1]
        dt = t_next - t
        g = append_dims(sde.diffusion(t), x)
        x = x + (sde.drift(x, t) - g**2 * score(x, t)) * dt
        if i < last:
            x = x + g * (-dt).sqrt() * noise(x)
        if condition is not None:
            x = condition(x, t_next)
    return x
