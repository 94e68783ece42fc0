"""Training steps against diffusers: same network, same weights, same batch; equal precision and as users run them.

On a GPU, too, against diffusers compiled by `torch.compile` (on a CPU compiling takes longer than the whole benchmark),
and what deterministic algorithms cost ours there: rows of their own, which may fail alone.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch

from benchmarks import ours
from benchmarks.peers import diffusers_loops as loops
from benchmarks.peers.diffusers_models import (
    autoencoder_with_weights_of,
    latent_arguments,
    pixel_arguments,
    unet_with_weights_of,
)
from benchmarks.setting import Setting, named
from benchmarks.timing import Case, Comparison, Run, Timed
from ldmiss.diffusion.unet import UNet
from ldmiss.training.loop import BatchLoss
from ldmiss_pipeline.compute.device import force_deterministic

EQUAL_TARGET, USER_TARGET = 1.15, 2.0
"""Ratios the project aims at on a CPU: at equal dtype, and against the default float32 loop."""
GPU_EAGER_TARGET, GPU_COMPILED_TARGET = 3.0, 1.5
"""On a GPU, against the default float32 loop, and against theirs compiled at equal dtype."""


def pixel_unet(setting: Setting) -> Case:
    """The pixel U-Net of Table 1."""
    config = setting.pixel_config()
    clean = setting.normal(setting.sizes.pixel, 1, 28, 28)

    def own(dtype: torch.dtype) -> Run:
        network = ours.unet(setting, config)
        return ours.training_steps(setting, network, ours.pixel_loss(setting, network, dtype), len(clean))

    def peer(dtype: torch.dtype, *, documented: bool = False) -> Run:
        model = unet_with_weights_of(ours.unet(setting, config).train(), pixel_arguments(config))
        return loops.training_step(model, clean, dtype=dtype, documented=documented)

    return _case(setting, len(clean), own, peer, peer(torch.float32, documented=True))


def latent_unet(setting: Setting) -> Case:
    """The latent U-Net of Table 1, at 8 x 8."""
    config = setting.latent_config()
    clean = setting.normal(setting.sizes.latent, config["in_channels"], config["size"], config["size"])

    def own(dtype: torch.dtype) -> Run:
        network = ours.unet(setting, config)
        return ours.training_steps(setting, network, ours.latent_loss(setting, network, dtype, config), len(clean))

    def peer(dtype: torch.dtype, *, documented: bool = False) -> Run:
        model = unet_with_weights_of(ours.unet(setting, config).train(), latent_arguments(config))
        return loops.training_step(model, clean, dtype=dtype, documented=documented)

    return _case(setting, len(clean), own, peer, peer(torch.float32, documented=True))


def vae(setting: Setting) -> Case:
    """The autoencoder; diffusers documents no loop for theirs."""
    x, kl_weight = setting.normal(setting.sizes.vae, 1, 28, 28), setting.params.vae.kl_weight

    def own(dtype: torch.dtype) -> Run:
        network = ours.autoencoder(setting)
        return ours.training_steps(setting, network, ours.vae_loss(setting, network, dtype), len(x))

    def peer(dtype: torch.dtype) -> Run:
        model = autoencoder_with_weights_of(ours.autoencoder(setting).train(), ours.vae_config(setting))
        return loops.autoencoder_training_step(model, x, kl_weight=kl_weight, dtype=dtype)

    return _case(setting, len(x), own, peer)


def _case(
    setting: Setting,
    num_images: int,
    own: Callable[[torch.dtype], Run],
    peer: Callable[[torch.dtype], Run],
    documented: Run | None = None,
) -> Case:
    timed: dict[str, Timed] = {}
    comparisons, own_images = [], setting.sizes.train_steps * num_images
    for dtype in setting.dtypes():
        timed[f"ours {named(dtype)}"] = Timed(own(dtype), own_images, dtype)
        timed[f"diffusers {named(dtype)}"] = Timed(peer(dtype), num_images, dtype)
        comparisons.append(equal_dtypes(dtype, "diffusers", EQUAL_TARGET if setting.device.type == "cpu" else None))
    native, default = named(setting.runtime.dtype), "diffusers float32"
    if documented is not None:
        default = "diffusers as documented, float32"
        timed[default] = Timed(documented, num_images)
    target = USER_TARGET if setting.device.type == "cpu" else GPU_EAGER_TARGET
    as_run = Comparison(f"as run: ours in {native} against {default}", f"ours {native}", default, target, "as run")
    return Case(timed, [*comparisons, *gain(setting), as_run], "image")


def pixel_compiled(setting: Setting) -> Case:
    """The pixel U-Net against theirs compiled."""
    network = ours.unet(setting, setting.pixel_config())
    loss = ours.pixel_loss(setting, network, setting.runtime.dtype)
    return _compiled_case(setting, network, loss, pixel_arguments(setting.pixel_config()), setting.sizes.pixel)


def latent_compiled(setting: Setting) -> Case:
    """The latent U-Net, at 8 x 8, against theirs compiled."""
    config = setting.latent_config()
    network = ours.unet(setting, config)
    loss = ours.latent_loss(setting, network, setting.runtime.dtype, config)
    return _compiled_case(setting, network, loss, latent_arguments(config), setting.sizes.latent)


def _compiled_case(
    setting: Setting, network: UNet, loss: BatchLoss, arguments: dict[str, Any], num_images: int
) -> Case:
    dtype, native = setting.runtime.dtype, named(setting.runtime.dtype)
    clean = setting.normal(num_images, arguments["in_channels"], arguments["sample_size"], arguments["sample_size"])
    model = unet_with_weights_of(network, arguments)
    own = ours.training_steps(setting, network, loss, num_images)
    timed = {
        f"ours {native}": Timed(own, setting.sizes.train_steps * num_images, dtype),
        "diffusers compiled": Timed(loops.training_step(torch.compile(model), clean, dtype=dtype), num_images, dtype),
    }
    label = f"{native}, ours against theirs compiled"
    return Case(timed, [Comparison(label, f"ours {native}", "diffusers compiled", GPU_COMPILED_TARGET)], "image")


def deterministic(setting: Setting) -> Case:
    """`compute.deterministic` against torch's own choice of algorithms, in a training step of the pixel U-Net."""
    network = ours.unet(setting, setting.pixel_config())
    loss = ours.pixel_loss(setting, network, setting.runtime.dtype)
    steps = ours.training_steps(setting, network, loss, setting.sizes.pixel)

    def under(forced: bool) -> Timed:
        def run() -> None:
            force_deterministic(forced)
            try:
                steps()
            finally:
                force_deterministic(False)

        num_images = setting.sizes.train_steps * setting.sizes.pixel
        return Timed(run, num_images, setting.runtime.dtype)

    timed = {"deterministic": under(True), "torch's choice": under(False)}
    return Case(timed, [Comparison("its price", "deterministic", "torch's choice")], "image")


def equal_dtypes(dtype: torch.dtype, peer: str, target: float | None = None) -> Comparison:
    """Ours and a peer's, both in `dtype`."""
    name = named(dtype)
    kind: Literal["float32", "native"] = "float32" if dtype == torch.float32 else "native"
    return Comparison(f"{name} against {name}", f"ours {name}", f"{peer} {name}", target, kind)


def gain(setting: Setting) -> list[Comparison]:
    """What the native dtype is worth, where it is not float32."""
    native = named(setting.runtime.dtype)
    if native == "float32":
        return []
    return [Comparison(f"ours, {native} against float32", f"ours {native}", "ours float32")]
