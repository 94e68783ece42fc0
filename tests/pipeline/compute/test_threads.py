"""The number of threads changes the order of sums, and nothing else: the same random numbers, the same results to a
stated tolerance.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from support import tiny
from support.imports import ROOT
from support.small_models import CPU, GENERATORS, IMPUTERS, unet
from torch import Tensor

from ldmiss.core.noise import RowNoise, torch_generator
from ldmiss.diffusion.objectives import pixel_score_loss
from ldmiss.diffusion.sde import VPSDE
from ldmiss.imputation.imputer import Imputer
from ldmiss.networks.layers import at_precision
from ldmiss.training.loop import Recipe, Training
from ldmiss_pipeline.compute.device import Runtime

SAMPLE_TOLERANCE = 1e-4
"""Largest difference of a pixel in [0, 1] after a few steps in float32: a sum in another order differs by about 1e-7 of
its value, and a few steps keep it near that (5e-7 seen). Many steps of guidance do not: over the 40 of the quick
profile the mean difference was 2.5e-5, and that of single pixels up to 0.015 (0.043 in bfloat16), which is why the
number of threads is a param."""
TRAINING_TOLERANCE = 1e-3
"""Mean difference of the weights after a few steps, as a share of the mean distance that training has moved them (1e-6
seen). Not the largest: where a gradient is nearly zero, its sign is that of the rounding, and Adam's step all of lr."""
ROWS, STEPS = 16, 3


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def with_threads(num_threads: int, compute: Callable[[], Tensor]) -> Tensor:
    """The result on so many threads."""
    torch.set_num_threads(num_threads)
    assert torch.get_num_threads() == num_threads
    return compute()


def noise() -> RowNoise:
    """Noise of the first images of a data set."""
    return RowNoise(7, torch.arange(ROWS))


def test_the_random_numbers_are_the_same() -> None:
    """To the bit: of a row, of an epoch's order, and of a training step."""

    def of_rows() -> Tensor:
        return noise()(torch.empty(ROWS, 3000))

    def of_training() -> Tensor:
        generator = torch_generator("cpu", 0, "step", 1)
        order = torch.randperm(50_000, generator=generator).float()
        return torch.cat([order, torch.randn(50_000, generator=generator), torch.rand(50_000, generator=generator)])

    for draw in (of_rows, of_training):
        assert torch.equal(with_threads(1, draw), with_threads(2, draw))


@pytest.mark.parametrize("number", [1, 3])
def test_chunks_side_by_side_give_the_same_bytes(
    number: int, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outs of the stages that compute in chunks do not depend on how many they compute at a time."""
    folder = tmp_path / "again"
    shutil.copytree(project, folder, symlinks=True)
    asked: list[None] = []
    monkeypatch.setattr(Runtime, "num_at_a_time", property(lambda runtime: asked.append(None) or number))
    chunked = ("train_diffputer", "sample", "impute")
    tiny.run(folder, lambda stage: stage in chunked)
    assert len(asked) >= len([stage for stage, _ in tiny.ITEMS if stage in chunked])
    assert tiny.fingerprints(folder, *tiny.MADE) == tiny.fingerprints(project, *tiny.MADE)


@pytest.mark.parametrize("method", GENERATORS)
def test_samples_agree(method: str) -> None:
    """Images in [0, 1], with one thread and with two."""
    generate = GENERATORS[method](CPU, STEPS)
    one, two = (with_threads(number, lambda: generate(ROWS, noise())) for number in (1, 2))
    assert float(one.std()) > 0.05, "nothing to compare"
    torch.testing.assert_close(two, one, rtol=0, atol=SAMPLE_TOLERANCE)


@pytest.mark.parametrize("name", IMPUTERS)
def test_imputations_agree(name: str) -> None:
    """Pasted and clipped, as they are written."""
    imputer = Imputer(IMPUTERS[name](CPU, STEPS), stochastic=True)
    generator = torch_generator("cpu", 0, "images")
    x_obs, observed = (torch.rand(ROWS, 1, 28, 28, generator=generator) for _ in range(2))
    one, two = (with_threads(number, lambda: imputer(x_obs, observed < 0.5, noise())) for number in (1, 2))
    assert float(one[observed >= 0.5].std()) > 0.05, "nothing to compare"
    torch.testing.assert_close(two, one, rtol=0, atol=SAMPLE_TOLERANCE)


def test_training_agrees() -> None:
    """The weights after an epoch of the pixel loss, dropout included, and its loss."""
    generator = torch_generator("cpu", 0, "images")
    images = torch.rand(64, 1, 28, 28, generator=generator)
    observed = torch.rand(images.shape, generator=generator) < 0.5
    losses = []

    def train() -> Tensor:
        network = unet(1)
        training = Training(network, Recipe(epochs=1, batch_size=ROWS, lr=1e-3), num_items=len(images), seed=0)
        loss = pixel_score_loss(
            at_precision(network, torch.float32), VPSDE(), images, observed,
            tau=1e-3, fill=torch.zeros(1), value_range="symmetric",
        )  # fmt: skip
        training.run(loss)
        losses.append(training.curve[-1])
        return flat(training.result())

    start, one, two = flat(unet(1).state_dict()), with_threads(1, train), with_threads(2, train)
    moved = float((one - start).abs().mean())
    assert moved > 1e-4, "nothing was trained"
    assert float((two - one).abs().mean()) < TRAINING_TOLERANCE * moved
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def flat(weights: dict[str, Tensor]) -> Tensor:
    """All weights in one vector."""
    return torch.cat([value.flatten() for value in weights.values()])


def test_the_blas_of_a_stage_has_one_thread() -> None:
    """That of numpy and that of scipy, each loaded after `stages`, whatever the environment says."""
    code = """import stages, numpy, scipy.linalg, threadpoolctl
print([pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"])"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[1, 1]", done.stderr
