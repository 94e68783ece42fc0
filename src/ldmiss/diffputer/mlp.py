"""DiffPuter's denoising network (Zhang et al. 2025, appendix D.4 and their `model.py`)."""

import torch
from torch import Tensor, nn


class DiffPuterMLP(nn.Module):
    """F(x, c_noise) on rows: the noise embedding is added once to the projected input, then four linear layers.

    With 784 features and 1024 hidden units: 12,100,368 parameters.

    Args:
        num_features: d of the (B, d) input and output.
        hidden: width; the two middle layers have twice as much.
    """

    def __init__(self, *, num_features: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.proj = nn.Linear(num_features, hidden)
        self.embed = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.layers = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.SiLU(),
            nn.Linear(2 * hidden, 2 * hidden), nn.SiLU(),
            nn.Linear(2 * hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, num_features),
        )  # fmt: skip

    def forward(self, x: Tensor, c_noise: Tensor) -> Tensor:
        """x (B, d), c_noise (B,) or () -> (B, d). A level shared by all rows is embedded once."""
        return self.layers(self.proj(x) + self.embed(self._positional(c_noise.reshape(-1))))

    def _positional(self, c_noise: Tensor) -> Tensor:
        """Sines then cosines with frequencies 10000^(-k/(hidden/2)), the endpoint left out: (B,) -> (B, hidden)."""
        half = self.hidden // 2
        exponents = torch.arange(half, device=c_noise.device, dtype=torch.float32) / half
        angles = c_noise.float()[:, None] * torch.pow(10000.0, -exponents)[None, :]
        return torch.cat([angles.sin(), angles.cos()], dim=1)
