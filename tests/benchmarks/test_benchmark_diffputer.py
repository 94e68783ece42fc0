"""DiffPuter's E-step draws from the law of the plain transcription, by tests that see a changed sampler."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.two_samples import LEVEL, Draws, energy_test, smallest_ks
from torch import Tensor

from benchmarks.peers import diffputer as plain
from ldmiss.core.noise import RowNoise
from ldmiss.core.randomness import numpy_generator
from ldmiss.diffputer.edm import Preconditioned
from ldmiss.diffputer.em import Sampling, draw_conditional
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.networks.layers import at_precision, build, init_torch_default

DIM, HIDDEN, NUM_DRAWS = 8, 32, 1500
SAMPLING = Sampling(num_steps=12, num_resamples=4)


@pytest.fixture(scope="module")
def network() -> DiffPuterMLP:
    """Ours, with the weights that the plain M-step learned on two clusters of correlated rows."""
    ours = build(
        lambda: DiffPuterMLP(num_features=DIM, hidden=HIDDEN), "cpu", init_torch_default,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    theirs = plain.Denoiser(DIM, HIDDEN)
    plain.copy_weights(ours, theirs)
    rng = numpy_generator(0, "clusters")
    centres = np.where(rng.random((4096, 1)) < 0.5, 0.5, -0.5) * np.ones((1, DIM))
    rows = torch.from_numpy(centres + 0.2 * rng.standard_normal((4096, 1)) + 0.1 * rng.standard_normal((4096, DIM)))
    training = plain.MStep(theirs, rows.float(), batch_size=256)
    for group in training.optimizer.param_groups:
        group["lr"] = 3e-3
    losses = [training.epoch() for _ in range(15)]
    assert losses[-1] < 0.8 * losses[0]
    for name, value in theirs.state_dict().items():
        part, _, rest = name.partition(".")
        names = {"input": "proj", "level1": "embed.0", "level2": "embed.2"}
        ours.state_dict()[f"{names[part]}.{rest}" if part in names else f"layers.{rest}"].copy_(value)
    return ours.requires_grad_(False)


@pytest.fixture(scope="module")
def expected(network: DiffPuterMLP) -> Draws:
    """Draws of the plain transcription: the missing entries, (draws, d missing)."""
    theirs = plain.Denoiser(DIM, HIDDEN)
    plain.copy_weights(network, theirs)
    x, observed = incomplete()
    return missing(
        plain.trial(
            theirs, x, observed, num_steps=SAMPLING.num_steps, num_resamples=SAMPLING.num_resamples,
            generator=torch.Generator().manual_seed(1),
        )
    )  # fmt: skip


def incomplete() -> tuple[Tensor, Tensor]:
    """One row, of which the first two entries are observed, between the clusters; as often as there are draws."""
    x = torch.zeros(NUM_DRAWS, DIM)
    x[:, 0], x[:, 1] = 0.1, -0.05
    return x, (torch.arange(DIM) < 2).expand(NUM_DRAWS, DIM)


def missing(draws: Tensor) -> Draws:
    """The entries that were drawn."""
    return draws[:, 2:].numpy()


def own(
    network: DiffPuterMLP, sampling: Sampling = SAMPLING, dtype: torch.dtype = torch.float32, sigma_data: float = 0.5
) -> Draws:
    """Draws of our E-step."""
    x, observed = incomplete()
    denoise = Preconditioned(at_precision(network, dtype), sigma_data)
    return missing(draw_conditional(denoise, x, observed, RowNoise(7, torch.arange(NUM_DRAWS)), sampling))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_same_distribution_as_the_plain_transcription(
    network: DiffPuterMLP, expected: Draws, dtype: torch.dtype
) -> None:
    """No pixel differs, and neither does their joint distribution; in the dtype that runs, too."""
    draws = own(network, dtype=dtype)
    assert smallest_ks(draws, expected) > LEVEL
    assert energy_test(draws, expected) > LEVEL


CHANGES: dict[str, Callable[[DiffPuterMLP], Draws]] = {
    "no resampling": lambda network: own(network, Sampling(SAMPLING.num_steps, 1)),
    "half the levels": lambda network: own(network, Sampling(SAMPLING.num_steps // 2, SAMPLING.num_resamples)),
    "another sigma_data": lambda network: own(network, sigma_data=0.45),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.slow
def test_a_changed_sampler_is_seen(
    network: DiffPuterMLP, expected: Draws, change: Callable[[DiffPuterMLP], Draws]
) -> None:
    """The same tests on samplers that differ in one setting."""
    draws = change(network)
    assert min(smallest_ks(draws, expected), energy_test(draws, expected)) < LEVEL


def test_pixels_that_are_independent_are_seen_by_the_energy_distance_alone(expected: Draws) -> None:
    """Each pixel's draws in another order: every pixel is as before, their joint distribution is not."""
    rng = numpy_generator(0, "shuffle")
    shuffled = np.stack([rng.permutation(column) for column in expected.T], axis=1)
    assert smallest_ks(shuffled, expected) == 1.0
    assert energy_test(shuffled, expected) < LEVEL
