"""How long a step takes: as long as the slowest like it on the same device, else from counting operations.

Counts are those of `ldmiss_pipeline.running.units`, times the operations of the networks (one row through each, counted on no device),
and the number of passes that follow one another, which is what a GPU waits for with networks as small as these. They
plan the first slice only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ldmiss_pipeline.compute.batching import CHUNK_SIZES
from ldmiss_pipeline.running.sizes import LATENT_PIXELS, PIXELS
from ldmiss_pipeline.running.units import TRAINED, training_steps, units

if TYPE_CHECKING:
    from stages.slices.order import Step

    from ldmiss_pipeline.config.schema import Params

MARGIN = 1.15
"""On what was measured: steps alike differ by a few percent, and starting what cannot end costs all of it."""
_START = 10.0
"""Seconds of each step beside its networks: reading, compiling of kernels, writing."""


@dataclass(frozen=True)
class Speed:
    """A guess before anything was measured: operations a second, and seconds for a pass however small.

    For CUDA one for a data-centre GPU: 6 % of an H100's rate in bfloat16, and the launches of a pass.
    """

    operations: float
    evaluation: float


SPEEDS = {"cuda": Speed(5e13, 0.006), "cpu": Speed(2e10, 0.004)}
_FIXED = {"train_baselines": 20.0, "measure": 15.0, "impute": 20.0}
"""Seconds of what no network dominates (others: `_START`); `measure` as 10,000 samples take on one CPU thread."""


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

    def seconds(self, step: "Step") -> float:
        """What is left of a step: of one that was cut, what it took already is taken off, down to a tenth."""
        params = step.work.stamp["params"]
        known = self._measured.get((step.stage, step.work.item.method, params))
        total = known * MARGIN if known is not None else self._counted(step)
        return max(total - self._spent.get((self._machine, step.label, params), 0.0), total / 10)

    def _counted(self, step: "Step") -> float:
        counts = {} if step.measure else units(self._params, step.stage, step.work.item.method)
        if not counts:
            return _FIXED.get(step.stage, _START)
        speed = SPEEDS[self._kind]
        steps = training_steps(self._params, step.stage) if step.stage in TRAINED else {}
        seconds = _START
        for kind, count in counts.items():
            passes = steps[kind] if kind in steps else count / self._chunk(step.stage)
            factor = 1 if kind.startswith(("sample", "e-")) else 3  # forwards, or with what goes back
            seconds += factor * (count * self._operations[kind] / speed.operations + passes * speed.evaluation)
        return seconds

    def _chunk(self, stage: str) -> int:
        params = self._params
        of_stages = {"sample": params.sample.chunk_size, "impute": params.impute.chunk_size}
        declared = of_stages.get(stage, params.diffputer.em.e_step.chunk_size)
        return CHUNK_SIZES[self._kind][stage] if isinstance(declared, str) else declared

    @cached_property
    def _operations(self) -> dict[str, float]:
        """Of one row forwards, by kind of unit."""
        from ldmiss.diffputer.mlp import DiffPuterMLP
        from ldmiss.networks.autoencoder import Autoencoder
        from ldmiss.networks.unet import UNet
        from ldmiss_pipeline.models.autoencoder import autoencoder_config
        from ldmiss_pipeline.models.unet import unet_config

        params, image, row = self._params, (1, 28, 28), (PIXELS,)
        latents = (params.vae.network.latent_channels, 7, LATENT_PIXELS // 7)
        pixel_config = unet_config(params.ddpm.network, image)
        latent_config = unet_config(params.ldmiss.network, latents)
        vae_config, hidden = autoencoder_config(params.vae), params.diffputer.network.hidden
        pixel = _count(lambda: UNet(**pixel_config), image, timed=True)
        latent = _count(lambda: UNet(**latent_config), latents, timed=True)
        encoder = _count(lambda: Autoencoder(**vae_config).encoder, (int(vae_config["in_channels"]), 28, 28))
        decoder = _count(lambda: Autoencoder(**vae_config).decoder, latents)
        mlp = _count(lambda: DiffPuterMLP(num_features=PIXELS, hidden=hidden), row, timed=True)
        return {
            "train-vae": encoder + decoder, "train-latent": latent, "train-pixel": pixel, "m-step": mlp, "e-step": mlp,
            "sample-latent": latent, "sample-pixel": pixel, "guide-latent": latent + decoder, "guide-pixel": pixel,
        }  # fmt: skip


def _count(make: Callable[[], nn.Module], shape: tuple[int, ...], *, timed: bool = False) -> float:
    """Floating-point operations of one row through a network that has no memory."""
    with torch.device("meta"):
        network, row = make().eval(), torch.empty(1, *shape)
        inputs = (row, torch.empty(1)) if timed else (row,)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(*inputs)
    return float(counter.get_total_flops())
