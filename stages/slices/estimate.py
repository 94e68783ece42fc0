"""How long a step takes: as long as the slowest like it on the same device, else from counting operations.

Counts are the operations of the networks (one row through each, counted on no device) and the number of evaluations
that follow one another, which is what a GPU waits for with networks as small as these. They plan the first slice only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from stages.chunks import CHUNK_SIZES
from stages.datasets import DATASETS
from stages.sizes import LATENT_PIXELS, PIXELS
from stages.slices.order import Step

if TYPE_CHECKING:
    from stages.schema import Params, Train

MARGIN = 1.15
"""On what was measured: steps alike differ by a few percent, and starting what cannot end costs all of it."""


@dataclass(frozen=True)
class Speed:
    """A guess before anything was measured: operations a second, and seconds for an evaluation however small."""

    operations: float
    evaluation: float


SPEEDS = {"cuda": Speed(2e13, 0.006), "cpu": Speed(2e10, 0.004)}
_FIXED = {"download": 10.0, "train_classifier": 20.0, "mask": 10.0, "encode_latents": 20.0, "train_baselines": 30.0,
          "measure": 40.0, "impute": 30.0}  # fmt: skip
"""Seconds of what no network dominates; of `impute`, what is not counted (the baselines on a CPU)."""


@dataclass(frozen=True)
class Count:
    """Operations, and network evaluations one after the other."""

    operations: float
    evaluations: float


class Estimates:
    """Seconds by step.

    Args:
        params: of the grid.
        timings: rows of earlier steps (`stages.slices.workspace.TIMINGS`), these and other devices'.
        device: of `Runtime.record`, that the steps will run on.
        kind: of that device, "cuda" or "cpu".
        machine: this one (`stages.slices.workspace.machine`): only here can a step that was cut go on.
    """

    def __init__(
        self, params: "Params", timings: Sequence[Mapping[str, Any]], *, device: str, kind: str, machine: str
    ) -> None:
        self._params, self._device, self._kind, self._machine = params, device, kind, machine
        self._measured: dict[tuple[Any, ...], float] = {}
        self._spent: dict[tuple[str, ...], float] = {}
        for row in timings:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in what a step took, where it was on this device."""
        if row["device"] != self._device:
            return
        run = (row["machine"], row["label"], row["params"])
        self._spent[run] = self._spent.get(run, 0.0) + row["seconds"]
        if row["ended"]:
            key = (row["stage"], row["method"], row["params"])
            self._measured[key] = max(self._measured.get(key, 0.0), self._spent.pop(run))

    def seconds(self, step: Step) -> float:
        """What is left of a step: of one that was cut, what it took already is taken off, down to a tenth."""
        params = step.work.stamp["params"]
        known = self._measured.get((step.stage, step.work.item.method, params))
        total = known * MARGIN if known is not None else self._counted(step)
        return max(total - self._spent.get((self._machine, step.label, params), 0.0), total / 10)

    def _counted(self, step: Step) -> float:
        count = None if step.measure else self._count(step)
        speed, fixed = SPEEDS[self._kind], _FIXED.get(step.stage, 10.0)
        if count is None:
            return fixed
        return 10.0 + count.operations / speed.operations + count.evaluations * speed.evaluation

    def _count(self, step: Step) -> Count | None:
        """None for a step that is not known here (a method that was added) or that no network dominates."""
        counts = {"train_vae": self._train_vae, "train_ldm": self._train_ldm, "train_ddpm": self._train_ddpm,
                  "train_diffputer": self._train_diffputer}  # fmt: skip
        if step.stage in counts:
            return counts[step.stage]()
        row = self._rows.get(str(step.work.item.method))
        if row is None or step.stage not in ("sample", "impute"):
            return None
        return self._sample(row, step) if step.stage == "sample" else self._impute(row, step)

    def _train_vae(self) -> Count:
        return self._training(self._params.vae.train, self._vae + self._decoder)

    def _train_ldm(self) -> Count:
        return self._training(self._params.ldmiss.train, self._rows["ldmiss"][0])

    def _train_ddpm(self) -> Count:
        return self._training(self._params.ddpm.train, self._rows["ddpm"][0])

    def _train_diffputer(self) -> Count:
        em, (network, _) = self._params.diffputer.em, self._rows["diffputer"]
        parts = [self._training(em.train_first, network)]
        parts += [self._training(em.train_next, network)] * (em.num_iterations - 1)
        e_step = em.e_step
        passes = em.num_iterations * e_step.num_trials * e_step.num_steps * e_step.num_resamples * 2
        chunks = self._chunks(self._num_train, e_step.chunk_size, "train_diffputer")
        parts.append(Count(self._num_train * passes * network, chunks * passes))
        return Count(sum(part.operations for part in parts), sum(part.evaluations for part in parts))

    def _sample(self, row: tuple[float, float], step: Step) -> Count:
        sample, num_images = self._params.sample, self._params.sample.num_images
        settings = getattr(self._params, str(step.work.item.method)).sample
        steps = settings.num_steps * (2 if getattr(settings, "sampler", "heun") == "heun" else 1)
        return Count(num_images * steps * row[0], self._chunks(num_images, sample.chunk_size, "sample") * steps)

    def _impute(self, row: tuple[float, float], step: Step) -> Count:
        impute, num_test = self._params.impute, DATASETS[self._params.dataset.name].num_test
        num_images = num_test if impute.num_images == "all" else impute.num_images
        num_rows = num_images + (impute.num_draws - 1) * impute.num_draw_images
        chunks = self._chunks(num_rows, impute.chunk_size, "impute")
        settings = getattr(self._params, str(step.work.item.method)).impute
        network, decoder = row
        operations, passes = 0.0, 0.0
        if guidance := getattr(settings, "guidance", None):
            operations, passes = 3 * guidance.num_steps * (network + decoder), 3.0 * guidance.num_steps
        replacement = getattr(settings, "replacement", settings)
        if hasattr(replacement, "num_resamples"):
            heun = replacement is settings  # DiffPuter's
            repeats = replacement.num_steps * replacement.num_resamples * (2 if heun else 1)
            operations, passes = operations + repeats * network, passes + repeats
        return Count(num_rows * operations, chunks * passes)

    def _training(self, train: "Train", network: float) -> Count:
        steps = train.epochs * -(-self._num_train // train.batch_size)
        return Count(3 * network * train.epochs * self._num_train, 3 * steps)

    def _chunks(self, number: int, declared: int | str, stage: str) -> int:
        size = CHUNK_SIZES[self._kind][stage] if isinstance(declared, str) else declared
        return -(-number // size)

    @cached_property
    def _num_train(self) -> int:
        return DATASETS[self._params.dataset.name].num_train

    @cached_property
    def _rows(self) -> dict[str, tuple[float, float]]:
        """Method -> operations of its network on one row, and of what decodes it."""
        from ldmiss.networks.mlp import DiffPuterMLP
        from ldmiss.networks.unet import UNet
        from stages.build.unet import unet_config

        channels = self._params.vae.network.latent_channels
        shapes = {"ldmiss": (channels, 7, 7), "ddpm": (1, 28, 28)}
        rows = {}
        for name, shape in shapes.items():
            config = unet_config(getattr(self._params, name).network, shape)
            count = _operations(lambda config=config: UNet(**config), shape, timed=True)  # type: ignore[misc]
            rows[name] = count, self._decoder if name == "ldmiss" else 0.0
        hidden = self._params.diffputer.network.hidden
        mlp = _operations(lambda: DiffPuterMLP(num_features=PIXELS, hidden=hidden), (PIXELS,), timed=True)
        return {**rows, "diffputer": (mlp, 0.0)}

    @cached_property
    def _vae(self) -> float:
        return self._of_autoencoder("encoder")

    @cached_property
    def _decoder(self) -> float:
        return self._of_autoencoder("decoder")

    def _of_autoencoder(self, part: str) -> float:
        from ldmiss.networks.autoencoder import Autoencoder
        from stages.build.autoencoder import autoencoder_config

        config = autoencoder_config(self._params.vae)
        latents = (self._params.vae.network.latent_channels, 7, LATENT_PIXELS // 7)
        shape = (int(config["in_channels"]), 28, 28) if part == "encoder" else latents
        return _operations(lambda: getattr(Autoencoder(**config), part), shape)


def _operations(make: Any, shape: tuple[int, ...], *, timed: bool = False) -> float:
    """Floating-point operations of one row through a network that has no memory."""
    with torch.device("meta"):
        network, row = make().eval(), torch.empty(1, *shape)
        inputs = (row, torch.empty(1)) if timed else (row,)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(*inputs)
    return float(counter.get_total_flops())
