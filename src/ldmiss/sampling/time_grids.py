"""Time grids: the times at which a sampler evaluates the score, from t = 1, or later, down to 0."""

import torch
from torch import Tensor

from ldmiss.diffusion.sde import VPSDE


def uniform_time_grid(
    num_steps: int, tau: float, device: torch.device | str = "cpu", *, t_start: float = 1.0
) -> Tensor:
    """num_steps + 1 times: t_start to tau in equal steps, then 0; float32.

    For num_steps = 1000 and tau = 1e-3 every difference is 1/1000, as in Song's sampler.
    """
    return _down_to_0(torch.linspace(t_start, tau, num_steps, dtype=torch.float64), device)


def log_snr_time_grid(
    sde: VPSDE, num_steps: int, tau: float, device: torch.device | str = "cpu", *, t_start: float = 1.0
) -> Tensor:
    """num_steps + 1 times: t_start to tau in equal steps of the log signal-to-noise ratio, then 0; float32.

    For all but Euler-Maruyama: their errors are even in it (Lu et al. 2022, DPM-Solver, section 3).
    """
    start, stop = sde.log_snr(torch.tensor([t_start, tau], dtype=torch.float64)).tolist()
    return _down_to_0(sde.time_of_log_snr(torch.linspace(start, stop, num_steps, dtype=torch.float64)), device)


def _down_to_0(times: Tensor, device: torch.device | str) -> Tensor:
    if len(times) < 2:
        raise ValueError(f"num_steps must be at least 2, got {len(times)}")
    return torch.cat([times, times.new_zeros(1)]).to(device, torch.float32)
