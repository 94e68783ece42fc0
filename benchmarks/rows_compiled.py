"""Training steps on a GPU against diffusers compiled by `torch.compile`: rows of their own, which may fail alone.

Not on a CPU, where compiling takes longer than the whole benchmark.
"""

import torch

from benchmarks import ours
from benchmarks.peers import diffusers_loops as loops
from benchmarks.peers.diffusers_models import latent_arguments, pixel_arguments, unet_with_weights_of
from benchmarks.setting import Setting, named
from benchmarks.timing import Case, Comparison, Timed

TARGET = 1.5


def pixel_unet(setting: Setting) -> Case:
    """The pixel U-Net of Table 1."""
    config = setting.pixel_config()
    clean = setting.normal(setting.sizes.pixel, 1, 28, 28)
    network, dtype = ours.unet(setting, config), setting.runtime.dtype
    model = unet_with_weights_of(network, pixel_arguments(config))
    own = ours.training_steps(setting, network, ours.pixel_loss(setting, network, dtype), len(clean))
    return _case(dtype, clean, Timed(own, setting.sizes.train_steps * len(clean), dtype, ours=True), model)


def latent_unet(setting: Setting) -> Case:
    """The latent U-Net of Table 1, at 8 x 8."""
    config = setting.latent_config()
    clean = setting.normal(setting.sizes.latent, config["in_channels"], config["size"], config["size"])
    network, dtype = ours.unet(setting, config), setting.runtime.dtype
    model = unet_with_weights_of(network, latent_arguments(config))
    own = ours.training_steps(setting, network, ours.latent_loss(setting, network, dtype, config), len(clean))
    return _case(dtype, clean, Timed(own, setting.sizes.train_steps * len(clean), dtype, ours=True), model)


def _case(dtype: torch.dtype, clean: torch.Tensor, own: Timed, model: torch.nn.Module) -> Case:
    step = loops.training_step(torch.compile(model), clean, dtype=dtype)
    timed = {f"ours {named(dtype)}": own, "diffusers compiled": Timed(step, len(clean), dtype)}
    label = f"{named(dtype)}, ours against theirs compiled"
    return Case(timed, [Comparison(label, f"ours {named(dtype)}", "diffusers compiled", TARGET)], "image")
