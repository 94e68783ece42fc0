"""Unconditional sampling against diffusers: same network, same weights, the same equation (a test compares paths).

Timed per image and step over a few steps, not 1000: every step is the same work (`benchmarks.scaling` shows it).
"""

from typing import Any

import torch

from benchmarks import ours
from benchmarks.peers import diffusers_loops as loops
from benchmarks.peers.diffusers_models import latent_arguments, pixel_arguments, unet_with_weights_of
from benchmarks.rows_training import EQUAL_TARGET, USER_TARGET, equal_dtypes, gain
from benchmarks.setting import Setting, named
from benchmarks.timing import Case, Comparison, Run, Timed
from ldmiss.core.noise import RowNoise


def pixel(setting: Setting) -> Case:
    """The pixel U-Net of Table 1."""
    config = setting.pixel_config()
    return _case(setting, config, pixel_arguments(config))


def latent(setting: Setting) -> Case:
    """The latent U-Net of Table 1, at 8 x 8; nothing is decoded."""
    config = setting.latent_config()
    return _case(setting, config, latent_arguments(config))


def _case(setting: Setting, config: dict[str, Any], arguments: dict[str, Any]) -> Case:
    sizes = setting.sizes
    network = ours.unet(setting, config)
    ours.frozen(network)
    x = setting.normal(sizes.sample, config["in_channels"], config["size"], config["size"])

    def own(dtype: torch.dtype) -> Run:
        model = ours.score_model(setting, network, dtype, config)
        rows = torch.arange(len(x), device=setting.device)

        def run() -> object:
            return model.generate(len(x), RowNoise(0, rows), num_steps=sizes.sample_steps)

        return run

    def peer(dtype: torch.dtype) -> Run:
        model = unet_with_weights_of(network, arguments).to(dtype)
        generator = torch.Generator(setting.device).manual_seed(0)
        return lambda: loops.sample_sde_vp(model, x, num_steps=sizes.sample_steps, generator=generator)

    units = len(x) * sizes.sample_steps
    timed, comparisons = {}, []
    for dtype in setting.dtypes():
        timed[f"ours {named(dtype)}"] = Timed(own(dtype), units, dtype)
        timed[f"diffusers {named(dtype)}"] = Timed(peer(dtype), units, dtype)
        comparisons.append(equal_dtypes(dtype, "diffusers", EQUAL_TARGET))
    native = named(setting.runtime.dtype)
    comparisons += gain(setting)
    pipeline = loops.pipeline_run(
        unet_with_weights_of(network, arguments), num_images=len(x), num_steps=sizes.sample_steps
    )
    timed["DDPMPipeline"] = Timed(pipeline, units)
    label = f"as run: ours in {native} against their pipeline in float32"
    comparisons.append(Comparison(label, f"ours {native}", "DDPMPipeline", USER_TARGET, "as run"))
    return Case(timed, comparisons, "image-step")
