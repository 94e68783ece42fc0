"""What is measured, and where: runtime, the networks of a profile, and how much one run works off."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
import yaml
from torch import Tensor

from benchmarks.page import ROOT
from ldmiss.core.noise import torch_generator
from ldmiss_pipeline.compute.device import Runtime, resolve
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.compose import composed

if TYPE_CHECKING:
    from ldmiss_pipeline.config.schema import Params

IMAGE_SHAPE = (1, 28, 28)
LATENT_SIZE, EVEN_LATENT_SIZE = 7, 8
"""Side of the paper's latents, and of those in comparisons with diffusers, whose U-Net cannot do 7 x 7."""


@dataclass(frozen=True)
class Sizes:
    """How much one run works off; a CPU's ratios hold from a few images on.

    Attributes:
        pixel, latent, vae: images per training step.
        train_steps: of one run, after which the losses are read; on a GPU, reading them at every step would stall it.
        sample, sample_steps: images and steps of a sampling run.
        guide_pixel, guide_latent, guide_steps: images and steps of a guided imputation.
        em_rows, em_batch: rows of an M-step's epoch, and per step.
        e_step_rows, e_step_levels, e_step_resamples: of an E-step's trial.
        linear_rows, linear_features: incomplete rows for the linear imputers, and their widths.
    """

    pixel: int = 32
    latent: int = 128
    vae: int = 32
    train_steps: int = 1
    sample: int = 32
    sample_steps: int = 3
    guide_pixel: int = 16
    guide_latent: int = 64
    guide_steps: int = 3
    em_rows: int = 4096
    em_batch: int = 1024
    e_step_rows: int = 512
    e_step_levels: int = 3
    e_step_resamples: int = 3
    linear_rows: int = 500
    linear_features: tuple[int, ...] = (16, 49)

    def on_gpu(self) -> "Sizes":
        """Enough to fill a GPU: the batch sizes of the paper, and chunks as the stages use."""
        factors = {"pixel": 8, "latent": 2, "vae": 8, "sample": 16, "guide_pixel": 16, "guide_latent": 8, "em_rows": 4}
        factors |= {"e_step_rows": 16, "train_steps": 8}
        return replace(self, **{name: factor * getattr(self, name) for name, factor in factors.items()})


@dataclass(frozen=True)
class Setting:
    """Where, what and how much; every benchmark of speed takes it from here.

    Attributes:
        runtime: device, the dtype that is native there, threads.
        params: those of a profile; the rows of `make bench` take `paper`.
        sizes: of the runs.
    """

    runtime: Runtime
    params: "Params"
    sizes: Sizes

    @property
    def device(self) -> torch.device:
        """Where everything is."""
        return self.runtime.device

    def generator(self, *purpose: str | int) -> torch.Generator:
        """A CPU generator of its own for a purpose."""
        return torch_generator("cpu", 0, "bench", *purpose)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal data."""
        return torch.randn(shape, generator=self.generator("normal")).to(self.device)

    def incomplete(self, num_images: int) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] and observed indicators at 50 %, both (N, 1, 28, 28). What they show does not matter."""
        draws = torch.rand(2, num_images, *IMAGE_SHAPE, generator=self.generator("images"))
        return draws[0].to(self.device), (draws[1] < 0.5).to(self.device)

    def pixel_config(self) -> dict[str, Any]:
        """Arguments of the pixel U-Net, resampling by convolutions: then diffusers has the same network."""
        return unet_config(self.params.ddpm.network, IMAGE_SHAPE) | {"resampling": "conv"}

    def latent_config(self) -> dict[str, Any]:
        """Arguments of the latent U-Net at 8 x 8, resampling by convolutions: then diffusers has the same network."""
        config = unet_config(self.params.ldmiss.network, self.latent_shape(EVEN_LATENT_SIZE))
        return config | {"resampling": "conv", "attention_levels": [0]}

    def latent_shape(self, size: int = LATENT_SIZE) -> tuple[int, int, int]:
        """Channels, height and width of the latents."""
        return self.params.vae.network.latent_channels, size, size

    def dtypes(self) -> Iterator[torch.dtype]:
        """float32, and what is native besides."""
        yield torch.float32
        if self.runtime.dtype != torch.float32:
            yield self.runtime.dtype


def profile_params(*overrides: str) -> "Params":
    """The params that these overrides compose, such as `profile=paper`."""
    return params.validate(yaml.safe_load(composed(list(overrides), ROOT)), " ".join(overrides))


def setting_of(profile: str, *, device: str = "auto", num_threads: int | str = "auto") -> Setting:
    """The networks of a profile; deterministic algorithms are not forced, neither on ours nor on a peer.

    Raises:
        InputError: a device that is not there.
    """
    found = profile_params(
        f"profile={profile}", f"compute.device={device}", f"compute.num_threads={num_threads}",
        "compute.deterministic=false",
    )  # fmt: skip
    if device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # the row `deterministic` needs it from the start
    runtime = resolve(found.compute)
    return Setting(runtime, found, Sizes().on_gpu() if runtime.device.type == "cuda" else Sizes())


def unet_config(network: Any, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Arguments of `UNet` for a section `network` of the params, and the `size` H = W of its data (C, H, W)."""
    return {"in_channels": shape[0], "size": shape[1], **network.model_dump()}


def named(dtype: torch.dtype) -> str:
    """float32, bfloat16."""
    return str(dtype).removeprefix("torch.")


def sizes_record(sizes: Sizes) -> dict[str, Any]:
    """For the results."""
    return {field.name: getattr(sizes, field.name) for field in fields(sizes)}


def device_folder(runtime: Runtime) -> str:
    """The name of the folder of a device's results: cpu, or the GPU's."""
    return str(runtime.record()["device"]).lower().replace(" ", "-")
