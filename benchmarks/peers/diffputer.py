"""DiffPuter written down plainly from its published description (Zhang et al. 2025, Algorithms 1-3 and appendix D).

Everything in float32, a DataLoader over the rows, the loss read at every step, and one noise level for all rows of a
draw, as the authors do. It shares no code with ours.
"""

import math

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

SIGMA_MIN, SIGMA_MAX, RHO, S_CHURN = 0.002, 80.0, 7, 1.0
SIGMA_DATA = 0.5
P_MEAN, P_STD = -1.2, 1.2


class Denoiser(nn.Module):
    """D(x; sigma): EDM's preconditioning around the multilayer perceptron of appendix D."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.input = nn.Linear(dim, hidden)
        self.level1 = nn.Linear(hidden, hidden)
        self.level2 = nn.Linear(hidden, hidden)
        self.mlp = nn.Sequential(
            nn.Linear(hidden, hidden * 2), nn.SiLU(), nn.Linear(hidden * 2, hidden * 2), nn.SiLU(),
            nn.Linear(hidden * 2, hidden), nn.SiLU(), nn.Linear(hidden, dim),
        )  # fmt: skip

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x (B, d), sigma (B,) or (1,) -> (B, d)."""
        half = self.hidden // 2
        frequencies = 10000.0 ** (-torch.arange(half, device=x.device) / half)
        angles = torch.outer(torch.log(sigma) / 4, frequencies)
        level = self.level2(nn.functional.silu(self.level1(torch.cat([torch.sin(angles), torch.cos(angles)], dim=1))))
        sigma = sigma.reshape(-1, 1)
        c_skip = SIGMA_DATA**2 / (sigma**2 + SIGMA_DATA**2)
        c_out = sigma * SIGMA_DATA / torch.sqrt(sigma**2 + SIGMA_DATA**2)
        c_in = 1 / torch.sqrt(sigma**2 + SIGMA_DATA**2)
        prediction: Tensor = self.mlp(self.input(c_in * x) + level)
        return c_skip * x + c_out * prediction


class MStep:
    """The training of an M-step, epoch by epoch."""

    def __init__(self, model: Denoiser, rows: Tensor, batch_size: int) -> None:
        self.model, self.num_rows = model, len(rows)
        self.generator = torch.Generator(rows.device).manual_seed(0)
        order = torch.Generator().manual_seed(0)
        self.loader = DataLoader(TensorDataset(rows.cpu()), batch_size=batch_size, shuffle=True, generator=order)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=0)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, factor=0.9, patience=50)
        self.device = rows.device

    def epoch(self) -> float:
        """One pass; the mean loss."""
        total = 0.0
        for (batch,) in self.loader:
            x = batch.to(self.device)
            normal = torch.randn(len(x), generator=self.generator, device=self.device)
            sigma = torch.exp(normal * P_STD + P_MEAN)
            noise = torch.randn(x.shape, generator=self.generator, device=self.device) * sigma[:, None]
            loss = self.loss(x, sigma, noise)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.item() * len(x)
        self.scheduler.step(total / self.num_rows)
        return total / self.num_rows

    def loss(self, x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        """EDM's weighted squared error over all coordinates."""
        weight = (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2
        return (weight[:, None] * (self.model(x + noise, sigma) - x) ** 2).mean()


@torch.no_grad()
def trial(
    model: nn.Module,
    x: Tensor,
    observed: Tensor,
    *,
    num_steps: int,
    num_resamples: int,
    generator: torch.Generator,
) -> Tensor:
    """One draw of the missing entries given the observed ones; x normalised (B, d), observed bool (B, d)."""
    ramp = torch.arange(num_steps, dtype=torch.float64) / (num_steps - 1)
    top, bottom = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    sigmas = [*((top + ramp * (bottom - top)) ** RHO).tolist(), 0.0]
    gamma = min(S_CHURN / num_steps, math.sqrt(2) - 1)

    def normal() -> Tensor:
        return torch.randn(x.shape, generator=generator, device=x.device)

    def slope(at: Tensor, sigma: float) -> Tensor:
        return (at - model(at, torch.full((1,), sigma, device=x.device))) / sigma

    def denoise_step(at: Tensor, sigma: float, sigma_next: float) -> Tensor:
        sigma_hat = sigma + gamma * sigma
        at_hat = at + math.sqrt(sigma_hat**2 - sigma**2) * normal()
        first = slope(at_hat, sigma_hat)
        euler = at_hat + (sigma_next - sigma_hat) * first
        if sigma_next == 0:
            return euler
        return at_hat + (sigma_next - sigma_hat) * (0.5 * first + 0.5 * slope(euler, sigma_next))

    state = normal() * sigmas[0]
    for step in range(num_steps - 1):
        sigma, sigma_next = sigmas[step], sigmas[step + 1]
        for repeat in range(num_resamples):
            known = x + sigma_next * normal()
            state = torch.where(observed, known, denoise_step(state, sigma, sigma_next))
            if repeat + 1 < num_resamples:
                state = state + math.sqrt(sigma**2 - sigma_next**2) * normal()
    state = denoise_step(state, sigmas[-2], 0.0)
    return torch.where(observed, x, state)


def copy_weights(ours: nn.Module, theirs: Denoiser) -> None:
    """The weights of our `DiffPuterMLP`; the layers are the same, their names are not."""
    pairs = {"proj": "input", "embed.0": "level1", "embed.2": "level2"} | {
        f"layers.{i}": f"mlp.{i}" for i in (0, 2, 4, 6)
    }
    state = {
        f"{their}.{part}": ours.state_dict()[f"{mine}.{part}"]
        for mine, their in pairs.items()
        for part in ("weight", "bias")
    }
    theirs.load_state_dict(state)
