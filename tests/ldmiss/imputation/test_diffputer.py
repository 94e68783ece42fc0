"""A fitted DiffPuter on images: units, and independence of the batch."""

import torch
from support.exact import gaussian

from ldmiss.core.noise import RowNoise
from ldmiss.diffputer.em import Normalizer, Sampling
from ldmiss.imputation.diffputer import DiffPuterModel

NAN = float("nan")
IMAGES = gaussian([0.0, 0.0, 0.1, 0.2], (0.25 * torch.eye(4) + 0.1).tolist())
PUTER = DiffPuterModel(IMAGES.edm_denoise, Normalizer(torch.full((4,), 0.5), torch.full((4,), 0.1)), (1, 2, 2))


def test_generate_is_denormalised() -> None:
    """Images of the right shape and mean (mean + std / 0.5 * normalised mean, 4 standard errors)."""
    images = PUTER.generate(2000, RowNoise(0, torch.arange(2000)), num_steps=20)
    assert images.shape == (2000, 1, 2, 2)
    expected = 0.5 + 0.2 * torch.tensor([0.0, 0.0, 0.1, 0.2])
    torch.testing.assert_close(images.flatten(1).mean(0), expected, rtol=0, atol=4 * 0.12 / 2000**0.5)


def test_impute_does_not_depend_on_the_batch() -> None:
    """An image imputed alone is the one imputed among others, and missing values never enter."""
    generator = torch.Generator().manual_seed(0)
    x, observed = torch.rand(5, 1, 2, 2, generator=generator), torch.rand(5, 1, 2, 2, generator=generator) < 0.5
    x_obs = torch.where(observed, x, NAN)
    together = PUTER.impute(x_obs, observed, RowNoise(0, torch.arange(5)), sampling=Sampling(8, 3))
    alone = PUTER.impute(x_obs[3:4], observed[3:4], RowNoise(0, torch.tensor([3])), sampling=Sampling(8, 3))
    torch.testing.assert_close(alone, together[3:4], rtol=1e-5, atol=1e-5)
    assert together.shape == x.shape
    torch.testing.assert_close(together[observed], x[observed])  # up to the change of units; the Imputer pastes
