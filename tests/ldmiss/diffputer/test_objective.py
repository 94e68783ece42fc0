"""What DiffPuter's network minimises."""

import torch
from torch import Tensor

from ldmiss.diffputer.edm import edm_loss
from ldmiss.diffputer.objective import m_step_loss


def test_m_step_loss_counts_all_coordinates() -> None:
    """The mean of EDM's loss over rows and coordinates, for the batch's rows; random only through the generator."""
    rows, batch = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([4, 1])
    seen = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append((x, sigma))
        return 0.5 * x

    losses = [m_step_loss(denoise, rows)(batch, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(losses[0], losses[1])
    (x, sigma), x_0 = seen[0], rows[batch]
    expected = edm_loss(lambda x, _: 0.5 * x, x_0, sigma, (x - x_0) / sigma[:, None]).mean()
    torch.testing.assert_close(losses[0], expected)
