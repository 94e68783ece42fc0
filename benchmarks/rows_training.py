"""Training steps against diffusers: same network, same weights, same batch; equal precision and as users run them."""

from collections.abc import Callable

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
from ldmiss.networks.unet import UNet

EQUAL_TARGET, USER_TARGET = 1.15, 2.0
"""Of the project on a CPU: at equal dtype, and against the default float32 loop."""
GPU_EAGER_TARGET, GPU_COMPILED_TARGET = 3.0, 1.5
"""Of the project on a GPU: against eager float32, and against compiled bfloat16."""


def pixel_unet(setting: Setting) -> Case:
    """The pixel U-Net of Table 1."""
    config = setting.pixel_config()
    clean = setting.normal(setting.sizes.pixel, 1, 28, 28)

    def own(dtype: torch.dtype) -> Run:
        network = ours.unet(setting, config)
        return ours.training_step(network, ours.pixel_loss(setting, network, dtype), len(clean))

    def peer(dtype: torch.dtype, documented: bool) -> Run:
        model = unet_with_weights_of(ours.unet(setting, config).train(), pixel_arguments(config))
        return loops.training_step(model, clean, dtype=dtype, documented=documented)

    return _case(setting, len(clean), own, peer, compiled=_compiled(setting, clean, config, pixel=True))


def latent_unet(setting: Setting) -> Case:
    """The latent U-Net of Table 1, at 8 x 8."""
    config = setting.latent_config()
    clean = setting.normal(setting.sizes.latent, config["in_channels"], config["size"], config["size"])

    def own(dtype: torch.dtype) -> Run:
        network = ours.unet(setting, config)
        return ours.training_step(network, ours.latent_loss(setting, network, dtype, config), len(clean))

    def peer(dtype: torch.dtype, documented: bool) -> Run:
        model = unet_with_weights_of(ours.unet(setting, config).train(), latent_arguments(config))
        return loops.training_step(model, clean, dtype=dtype, documented=documented)

    return _case(setting, len(clean), own, peer, compiled=_compiled(setting, clean, config, pixel=False))


def vae(setting: Setting) -> Case:
    """The autoencoder."""
    x, kl_weight = setting.normal(setting.sizes.vae, 1, 28, 28), setting.params.vae.kl_weight

    def own(dtype: torch.dtype) -> Run:
        network = ours.autoencoder(setting)
        return ours.training_step(network, ours.vae_loss(setting, network, dtype), len(x))

    def peer(dtype: torch.dtype, documented: bool) -> Run:
        del documented  # there is no documented loop
        model = autoencoder_with_weights_of(ours.autoencoder(setting).train(), ours.vae_config(setting))
        return loops.autoencoder_training_step(model, x, kl_weight=kl_weight, dtype=dtype)

    return _case(setting, len(x), own, peer)


def _case(
    setting: Setting,
    num_images: int,
    own: Callable[[torch.dtype], Run],
    peer: Callable[[torch.dtype, bool], Run],
    compiled: Run | None = None,
) -> Case:
    timed: dict[str, Timed] = {}
    comparisons = []
    for dtype in setting.dtypes():
        timed[f"ours {named(dtype)}"] = Timed(own(dtype), num_images, dtype, ours=True)
        timed[f"diffusers {named(dtype)}"] = Timed(peer(dtype, False), num_images, dtype)
        label = f"{named(dtype)} against {named(dtype)}"
        comparisons.append(
            Comparison(label, f"ours {named(dtype)}", f"diffusers {named(dtype)}", _on_cpu(setting, EQUAL_TARGET))
        )
    native = named(setting.runtime.dtype)
    timed["diffusers as documented"] = Timed(peer(torch.float32, True), num_images, torch.float32)
    if native != "float32":
        comparisons.append(Comparison(f"ours, {native} against float32", f"ours {native}", "ours float32"))
    user_target = USER_TARGET if setting.device.type == "cpu" else GPU_EAGER_TARGET
    label = f"as run: ours in {native} against the documented float32 loop"
    comparisons.append(Comparison(label, f"ours {native}", "diffusers as documented", user_target))
    if compiled is not None:
        timed["diffusers compiled"] = Timed(compiled, num_images, setting.runtime.dtype)
        label = f"ours in {native} against theirs compiled"
        comparisons.append(Comparison(label, f"ours {native}", "diffusers compiled", GPU_COMPILED_TARGET))
    return Case(timed, comparisons, "image")


def _on_cpu(setting: Setting, target: float) -> float | None:
    return target if setting.device.type == "cpu" else None


def _compiled(setting: Setting, clean: torch.Tensor, config: dict[str, object], *, pixel: bool) -> Run | None:
    """On a GPU only: on a CPU, compiling takes longer than the whole benchmark."""
    if setting.device.type == "cpu":
        return None
    network: UNet = ours.unet(setting, config).train()
    arguments = pixel_arguments(config) if pixel else latent_arguments(config)
    model = torch.compile(unet_with_weights_of(network, arguments))
    return loops.training_step(model, clean, dtype=setting.runtime.dtype)
