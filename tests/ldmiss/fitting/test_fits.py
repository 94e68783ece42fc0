"""Every fit: cut anywhere it goes on bit for bit, and what stands behind a missing pixel changes no bit."""

import dataclasses
from typing import Any

import pytest
import torch
from support.fits import FITS, OF_INCOMPLETE_IMAGES, Data
from support.memory_checkpoint import result_of_cut_runs
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT

CUTS = {
    **dict.fromkeys(("vae", "ldmiss", "ddpm", "regression", "conditional", "miwae", "classifier"), 6),
    "diffputer": 12 * 3 + 3 + 1 + 2 * 3,
    "posterior": 3 * 2 * 2,
    "em_diffusion": 1 + 6 + 3 * 2 + 1 + 6,
}
"""Safe points: every step, every chunk of an E-step, every iteration of EM. A fit in closed form has none."""


@pytest.fixture(scope="module")
def data(raw: dict[str, Any]) -> Data:
    """48 digits, half of their pixels missing, and latents that are noise."""
    generator = torch.Generator().manual_seed(0)
    images = torch.from_numpy(raw["train"]["images"])[:, None] / 255
    observed = torch.rand(images.shape, generator=generator) < 0.5
    latents = torch.randn(48, 2, 7, 7, generator=generator)
    return Data(torch.where(observed, images, 0), observed, latents, torch.from_numpy(raw["train"]["labels"]))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", CUTS)
def test_a_fit_cut_at_every_safe_point_is_the_one_that_was_not(name: str, data: Data) -> None:
    """Bit for bit, from a checkpoint held in memory, and without work being done twice."""
    weights, num_cuts = result_of_cut_runs(lambda checkpoint: FITS[name](data, checkpoint))
    assert same(weights, FITS[name](data, NO_CHECKPOINT))
    assert num_cuts == CUTS[name]


@pytest.mark.parametrize("name", OF_INCOMPLETE_IMAGES)
def test_a_fit_never_looks_at_missing_values(name: str, data: Data) -> None:
    """Other values at the missing pixels, the same weights and moments; another one at an observed pixel, others."""

    def fit(images: Tensor) -> dict[str, Tensor]:
        return FITS[name](dataclasses.replace(data, images=images), NO_CHECKPOINT)

    fitted = fit(data.images)
    assert same(fit(torch.where(data.observed, data.images, float("nan"))), fitted)
    changed = data.images.clone()
    place = tuple((data.observed & (data.images > 0)).nonzero()[0])
    changed[place] = 1 - changed[place] / 2
    assert not same(fit(changed), fitted)
