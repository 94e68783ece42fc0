"""How many bytes an item of a stage needs on disk, from the params alone: upper bounds, close enough to plan with.

Weights, latents and checkpoints are counted, of networks built without memory. Images are compressed, and how well
depends on what a model makes of them: the bounds are those of digits, and of noise where a model generates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ldmiss_pipeline.datasets.registry import DATASETS

if TYPE_CHECKING:
    from torch import nn

    from ldmiss_pipeline.artifacts.paths import Item
    from ldmiss_pipeline.config.schema import Params, Train

BLOCK = 4096
"""Of a file system: what a small file takes."""
PIXELS, LATENT_PIXELS = 784, 49
NOISE_BYTES = 1360
"""Of a compressed float16 image that is noise in all pixels (1,342); samples of trained networks have 600 to 1,250."""
DIGIT_BYTES, WIDE_DIGIT_BYTES = 175, 230
"""Of a compressed digit (166 in MNIST), and of the same in float16 (222)."""
SHEET_BYTES = 800
"""Of an uint8 image for the figures that does not compress at all."""
TABLE_BYTES, TEXT_BYTES = 2000, 16_000
"""Of what stands in a file beside its arrays; of a cell's metrics."""
FIGURE_BYTES, SHOWN_BYTES, CELL_ROWS_BYTES = 500_000, 9000, 25_000
"""Of the figures apart from the images they show; of an image shown (PNG and CSV); of a cell in the tables."""
SHEET_IMAGES = 20
_IMPUTERS = {"ldmiss": (1, 0), "ddpm": (2, 0), "diffputer": (1, 0), "baselines": (0, 4)}
"""How many stochastic and other imputers a method has; a method not named here counts as one of each."""


@dataclass(frozen=True)
class Need:
    """Of one item, in bytes.

    Attributes:
        outs: its results; DVC's cache takes as much again.
        checkpoint: the most that lies in `ckpt/` while it runs.
        largest: its largest file, which is there twice while it is replaced.
    """

    outs: int
    checkpoint: int = 0
    largest: int = 0


class Sizes:
    """What the items of a params document need."""

    def __init__(self, params: "Params") -> None:
        self._params = params
        dataset = DATASETS[params.dataset.name]
        self._num_train, self._num_test, self._raw = dataset.num_train, dataset.num_test, dataset.num_bytes
        imputed = params.impute.num_images
        self._num_imputed = self._num_test if imputed == "all" else imputed

    def need(self, stage: str, item: "Item") -> Need | None:
        """Of one item; None for a stage that is not known here (a method that was added)."""
        make = _NEEDS.get(stage)
        return make(self, item) if make else None

    def _download(self, item: "Item") -> Need:
        return _need([self._raw])

    def _train_classifier(self, item: "Item") -> Need:
        train = self._params.classifier.train
        return _need([self._classifier, TABLE_BYTES, _curve(train)], _snapshots(self._classifier, train))

    def _mask(self, item: "Item") -> Need:
        assert item.missing_rate is not None
        parts = ((self._num_train, item.missing_rate), (self._num_test, self._params.missing.test_rate))
        return _need([int(number * _incomplete_bytes(rate)) + TABLE_BYTES for number, rate in parts])

    def _train_vae(self, item: "Item") -> Need:
        train = self._params.vae.train
        return _need([self._vae + 4 * PIXELS, _curve(train)], _snapshots(self._vae, train))

    def _encode_latents(self, item: "Item") -> Need:
        channels = self._params.vae.network.latent_channels
        return _need([4 * self._num_train * channels * LATENT_PIXELS + TABLE_BYTES])

    def _train_ldm(self, item: "Item") -> Need:
        train = self._params.ldmiss.train
        return _need([self._ldmiss + self._vae + 4 * PIXELS, _curve(train)], _snapshots(self._ldmiss, train))

    def _train_ddpm(self, item: "Item") -> Need:
        train = self._params.ddpm.train
        return _need([self._ddpm, _curve(train)], _snapshots(self._ddpm, train))

    def _train_diffputer(self, item: "Item") -> Need:
        em = self._params.diffputer.em
        epochs = em.train_first.epochs + (em.num_iterations - 1) * em.train_next.epochs
        rows = 4 * self._num_train * PIXELS
        between = rows + self._diffputer  # iterations: the completed rows and the network
        m_step = max(_snapshots(self._diffputer, train) for train in (em.train_first, em.train_next))
        checkpoint = between + max(m_step, m_step // 2 + rows + between)  # while the next `between` is written
        return _need([self._diffputer + 8 * PIXELS, _curve_of(epochs)], checkpoint)

    def _train_baselines(self, item: "Item") -> Need:
        return _need([self._vae + 4 * PIXELS + 8 * (PIXELS**2 + PIXELS)])

    def _sample(self, item: "Item") -> Need:
        number = self._params.sample.num_images
        return _need([number * NOISE_BYTES + TABLE_BYTES], 2 * number * PIXELS)

    def _impute(self, item: "Item") -> Need:
        settings, number = self._params.impute, self._num_imputed
        row = _completed_bytes(self._params.missing.test_rate)
        stochastic, others = _IMPUTERS.get(str(item.method), (1, 1))
        files = [row * (number + settings.num_draw_images * settings.num_draws) + TABLE_BYTES] * stochastic
        files += [row * (number + settings.num_draw_images) + TABLE_BYTES] * others
        rows = (number + settings.num_draw_images * (settings.num_draws - 1)) * stochastic + number * others
        return _need(files, 2 * rows * PIXELS)

    def _evaluate(self, item: "Item") -> Need:
        generators = len(self._params.sample.methods)
        imputers = sum(sum(_IMPUTERS.get(method, (1, 1))) for method in self._params.impute.methods)
        shown = min(SHEET_IMAGES, self._num_imputed)
        return _need([(generators + imputers + 3) * shown * SHEET_BYTES + TABLE_BYTES, TEXT_BYTES])

    def _plot(self, item: "Item") -> Need:
        grid, columns = self._params.grid, self._params.plot.num_columns
        rows = (len(self._params.sample.methods) + 10) * len(grid.missing_rates)
        tables = CELL_ROWS_BYTES * (len(grid.missing_rates) * len(grid.seeds) + 3)  # claims and summary with them
        return _need([FIGURE_BYTES, rows * columns * SHOWN_BYTES, tables])

    @cached_property
    def _classifier(self) -> int:
        from ldmiss.classifier.network import Classifier

        return _weights(Classifier)

    @cached_property
    def _vae(self) -> int:
        from ldmiss.networks.autoencoder import Autoencoder
        from ldmiss_pipeline.models.autoencoder import autoencoder_config

        return _weights(lambda: Autoencoder(**autoencoder_config(self._params.vae)))

    @cached_property
    def _ldmiss(self) -> int:
        return self._unet(self._params.ldmiss.network, (self._params.vae.network.latent_channels, 7, 7))

    @cached_property
    def _ddpm(self) -> int:
        return self._unet(self._params.ddpm.network, (1, 28, 28))

    @cached_property
    def _diffputer(self) -> int:
        from ldmiss.diffputer.mlp import DiffPuterMLP

        hidden = self._params.diffputer.network.hidden
        return _weights(lambda: DiffPuterMLP(num_features=PIXELS, hidden=hidden))

    @staticmethod
    def _unet(network: Any, shape: tuple[int, int, int]) -> int:
        from ldmiss.networks.unet import UNet
        from ldmiss_pipeline.models.unet import unet_config

        return _weights(lambda: UNet(**unet_config(network, shape)))


def _weights(make: "Callable[[], nn.Module]") -> int:
    """Of a file of the network's weights: four bytes each, and about 130 for a tensor's entry in the header."""
    import torch

    with torch.device("meta"):
        state = make().state_dict()
    return sum(4 * value.numel() + 130 for value in state.values()) + TABLE_BYTES


def _snapshots(weights: int, train: "Train") -> int:
    """A checkpoint of a training run, there twice while it is replaced: weights, two moments, average, best weights."""
    copies = 3 + (train.ema_decay is not None) + (train.early_stop is not None)
    return 2 * (copies * weights + _curve(train))


def _curve(train: "Train") -> int:
    return _curve_of(train.epochs)


def _curve_of(epochs: int) -> int:
    return 24 * epochs


def _incomplete_bytes(rate: float) -> float:
    """Of an incomplete digit and its packed observed-indicators, compressed: the indicators are random bits."""
    return DIGIT_BYTES * (1 - rate**3) + 15 + 1.05 * PIXELS / 8 * _entropy(rate)


def _completed_bytes(rate: float) -> int:
    """Of a digit with noise at its missing pixels, float16, and its number: both parts, and which pixel is which."""
    return int((1 - rate) * WIDE_DIGIT_BYTES + rate * NOISE_BYTES + WIDE_DIGIT_BYTES * _entropy(rate)) + 8


def _entropy(rate: float) -> float:
    return 0.0 if rate == 0 else -rate * math.log2(rate) - (1 - rate) * math.log2(1 - rate)


def _need(files: list[int], checkpoint: int = 0) -> Need:
    return Need(sum(-(-size // BLOCK) * BLOCK for size in files), checkpoint, max(files))


_NEEDS: dict[str, Callable[[Sizes, "Item"], Need]] = {
    "download": Sizes._download,
    "train_classifier": Sizes._train_classifier,
    "mask": Sizes._mask,
    "train_vae": Sizes._train_vae,
    "encode_latents": Sizes._encode_latents,
    "train_ldm": Sizes._train_ldm,
    "train_ddpm": Sizes._train_ddpm,
    "train_diffputer": Sizes._train_diffputer,
    "train_baselines": Sizes._train_baselines,
    "sample": Sizes._sample,
    "impute": Sizes._impute,
    "evaluate": Sizes._evaluate,
    "plot": Sizes._plot,
}
