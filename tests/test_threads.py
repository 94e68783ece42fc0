"""The number of threads changes the order of sums, and nothing else: the same random numbers, the same results to a
stated tolerance.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor

from ldmiss.autoencoding.codecs import LatentCodec, PixelCodec
from ldmiss.diffusion.edm import Preconditioned
from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.diffusion.sde import VPSDE
from ldmiss.imputation.diffputer import SIGMA_DATA, DiffPuterModel, Normalizer, Sampling
from ldmiss.imputation.interface import Imputer
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.networks.autoencoder import Autoencoder
from ldmiss.networks.layers import at_precision, build, init_torch_default
from ldmiss.networks.mlp import DiffPuterMLP
from ldmiss.networks.unet import UNet
from ldmiss.noise import RowNoise, torch_generator
from ldmiss.training.loop import Recipe, Training
from ldmiss.training.score_objectives import pixel_score_loss

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


def unet(channels: int, size: int) -> UNet:
    """A narrow score network, large enough for torch to share its work among threads."""
    return build(
        lambda: UNet(
            in_channels=channels, size=size, base_channels=8, channel_multipliers=[1, 2], num_res_blocks=1,
            attention_resolutions=[7], mid_attention=False, resampling="biggan", dropout=0.1, num_groups=2,
        ),
        "cpu", init_torch_default, torch_generator("cpu", 0, "unet"),
    )  # fmt: skip


def score_model(kind: str) -> ScoreModel:
    """A score model in pixel or latent space with random weights."""
    cpu = torch.device("cpu")
    if kind == "ddpm":
        denoiser = Denoiser(at_precision(unet(1, 28).requires_grad_(False), torch.float32), VPSDE())
        return ScoreModel(denoiser, PixelCodec((1, 28, 28), "symmetric"), cpu, 1e-3)
    vae = build(
        lambda: Autoencoder(
            in_channels=1, out_channels=1, latent_channels=2, base_channels=8, channel_multipliers=[1, 2, 4],
            num_res_blocks=1, num_groups=2, mid_attention=True,
        ),
        cpu, init_torch_default, torch_generator("cpu", 0, "vae"),
    )  # fmt: skip
    decoder = at_precision(vae.requires_grad_(False).decoder, torch.float32)
    codec = LatentCodec((2, 7, 7), decoder, torch.ones(1, 1, 1), "symmetric")
    return ScoreModel(
        Denoiser(at_precision(unet(2, 7).requires_grad_(False), torch.float32), VPSDE()), codec, cpu, 1e-3
    )


def diffputer() -> DiffPuterModel:
    """DiffPuter with random weights."""
    mlp = build(
        lambda: DiffPuterMLP(num_features=784, hidden=64), "cpu", init_torch_default, torch_generator("cpu", 0, "mlp")
    ).requires_grad_(False)
    moments = Normalizer(torch.full((784,), 0.3), torch.full((784,), 0.3))
    return DiffPuterModel(Preconditioned(at_precision(mlp, torch.float32), SIGMA_DATA), moments, 28)


GENERATORS: dict[str, Callable[[], Callable[..., Tensor]]] = {
    "ldmiss": lambda: partial(score_model("ldmiss").generate, num_steps=STEPS),
    "ddpm": lambda: partial(score_model("ddpm").generate, num_steps=STEPS),
    "diffputer": lambda: partial(diffputer().generate, num_steps=STEPS),
}
IMPUTERS: dict[str, Callable[[], Callable[..., Tensor]]] = {
    "ldmiss-guidance": lambda: partial(score_model("ldmiss").impute_by_guidance, num_steps=STEPS),
    "ddpm-guidance": lambda: partial(score_model("ddpm").impute_by_guidance, num_steps=STEPS),
    "ddpm-replacement": lambda: partial(score_model("ddpm").impute_by_replacement, num_steps=STEPS),
    "diffputer-replacement": lambda: partial(diffputer().impute, sampling=Sampling(STEPS, 2)),
}


def noise() -> RowNoise:
    """Of the first images of a data set."""
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


@pytest.mark.parametrize("method", GENERATORS)
def test_samples_agree(method: str) -> None:
    """Images in [0, 1], with one thread and with two."""
    generate = GENERATORS[method]()
    one, two = (with_threads(number, lambda: generate(ROWS, noise())) for number in (1, 2))
    assert float(one.std()) > 0.05, "nothing to compare"
    torch.testing.assert_close(two, one, rtol=0, atol=SAMPLE_TOLERANCE)


@pytest.mark.parametrize("name", IMPUTERS)
def test_imputations_agree(name: str) -> None:
    """Pasted and clipped, as they are written."""
    imputer = Imputer(IMPUTERS[name](), stochastic=True)
    generator = torch_generator("cpu", 0, "images")
    x_obs, observed = (torch.rand(ROWS, 1, 28, 28, generator=generator) for _ in range(2))
    one, two = (with_threads(number, lambda: imputer(x_obs, observed < 0.5, noise())) for number in (1, 2))
    assert float(one[observed >= 0.5].std()) > 0.05, "nothing to compare"
    torch.testing.assert_close(two, one, rtol=0, atol=SAMPLE_TOLERANCE)


def test_training_agrees() -> None:
    """The weights after an epoch of the pixel loss, dropout included, and its loss."""
    generator = torch_generator("cpu", 0, "images")
    images = torch.randint(0, 256, (64, 1, 28, 28), generator=generator).to(torch.uint8)
    observed = torch.rand(images.shape, generator=generator) < 0.5
    losses = []

    def train() -> Tensor:
        network = unet(1, 28)
        training = Training(network, Recipe(epochs=1, batch_size=ROWS, lr=1e-3), num_items=len(images), seed=0)
        loss = pixel_score_loss(
            at_precision(network, torch.float32), VPSDE(), images, observed,
            tau=1e-3, fill=torch.zeros(1), value_range="symmetric",
        )  # fmt: skip
        training.run(loss)
        losses.append(training.curve[-1])
        return flat(training.result())

    start, one, two = flat(unet(1, 28).state_dict()), with_threads(1, train), with_threads(2, train)
    moved = float((one - start).abs().mean())
    assert moved > 1e-4, "nothing was trained"
    assert float((two - one).abs().mean()) < TRAINING_TOLERANCE * moved
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def flat(weights: dict[str, Tensor]) -> Tensor:
    """All weights in one vector."""
    return torch.cat([value.flatten() for value in weights.values()])
