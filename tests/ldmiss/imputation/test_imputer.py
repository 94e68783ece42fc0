"""The final paste that every imputer ends with."""

import torch
from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.imputation.imputer import Imputer, paste_observed

OBSERVED = torch.tensor([True, False, True, False]).reshape(1, 1, 2, 2)
X_OBS = torch.tensor([0.1, float("nan"), 1 / 3, 7.0]).reshape(1, 1, 2, 2)


def test_observed_bit_for_bit_and_the_rest_clipped() -> None:
    """Observed pixels come back exactly whatever was guessed there; guesses are clipped to [0, 1]."""
    x_hat = torch.tensor([9.0, 1.2, -9.0, -0.1]).reshape(1, 1, 2, 2)
    pasted = paste_observed(X_OBS, OBSERVED, x_hat)
    assert torch.equal(pasted.flatten(), torch.tensor([0.1, 1.0, 1 / 3, 0.0]))


def test_imputer_pastes_its_completion() -> None:
    """`complete` gets observation, indicators and noise, and its guess stands at missing pixels only."""
    seen = []

    def complete(x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps) -> Tensor:
        seen.append((x_obs, observed, noise))
        return torch.full_like(x_obs, 0.5)

    noise = RowNoise(0, torch.arange(1))
    completed = Imputer(complete, stochastic=False)(X_OBS, OBSERVED, noise)
    assert torch.equal(completed.flatten(), torch.tensor([0.1, 0.5, 1 / 3, 0.5]))
    assert seen == [(X_OBS, OBSERVED, noise)]
