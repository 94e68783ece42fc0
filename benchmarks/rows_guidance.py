"""Self-guided imputation against the plain version (`benchmarks.peers.guidance`), per image and step.

The plain version's network is as it comes out of training: its parameters require gradients.
"""

from typing import Any

import torch

from benchmarks import ours
from benchmarks.peers import guidance as plain
from benchmarks.rows_training import equal_dtypes, gain
from benchmarks.setting import Setting, named, unet_config
from benchmarks.timing import Case, Comparison, Run, Timed
from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.core.noise import RowNoise
from ldmiss.imputation.imputer import paste_observed

TARGET = 1.5


def pixel(setting: Setting) -> Case:
    """DDPM, the network of Table 1 as it is."""
    return _case(setting, unet_config(setting.params.ddpm.network, (1, 28, 28)), setting.sizes.guide_pixel)


def latent(setting: Setting) -> Case:
    """LDMiss, the networks of Table 1 as they are: 7 x 7 latents, through the decoder."""
    config = unet_config(setting.params.ldmiss.network, setting.latent_shape())
    return _case(setting, config, setting.sizes.guide_latent, with_vae=True)


def _case(setting: Setting, config: dict[str, Any], num_images: int, *, with_vae: bool = False) -> Case:
    images, observed = setting.incomplete(num_images)
    x_obs, num_steps = images, setting.sizes.guide_steps
    rows = torch.arange(num_images, device=setting.device)
    network, vae = ours.unet(setting, config), ours.autoencoder(setting) if with_vae else None
    ours.frozen(network)
    if vae is not None:
        ours.frozen(vae)

    def own(dtype: torch.dtype) -> Run:
        model = ours.score_model(setting, network, dtype, config, vae)

        def run() -> object:
            x_hat = model.impute_by_guidance(x_obs, observed, RowNoise(0, rows), num_steps=num_steps)
            return paste_observed(x_obs, observed, x_hat)

        return run

    timed, comparisons = {}, []
    for dtype in setting.dtypes():
        peer = ours.autocast(setting, dtype, plain_run(setting, config, with_vae, num_images))
        timed[f"ours {named(dtype)}"] = Timed(own(dtype), num_images * num_steps, dtype)
        timed[f"plain {named(dtype)}"] = Timed(peer, num_images * num_steps, dtype)
        comparisons.append(equal_dtypes(dtype, "plain", TARGET))
    native = named(setting.runtime.dtype)
    label = f"as run: ours in {native} against plain float32"
    comparisons += [*gain(setting), Comparison(label, f"ours {native}", "plain float32", kind="as run")]
    return Case(timed, comparisons, "image-step")


def plain_run(setting: Setting, config: dict[str, Any], with_vae: bool, num_images: int) -> Run:
    """The plain version on the same images, with the same weights."""
    images, observed = setting.incomplete(num_images)
    x_obs, mask = 2 * images - 1, observed.float()
    network = ours.unet(setting, config).eval()
    vae: Autoencoder | None = ours.autoencoder(setting).eval() if with_vae else None
    z = setting.normal(num_images, config["in_channels"], config["size"], config["size"])
    generator = torch.Generator(setting.device).manual_seed(0)
    return lambda: plain.impute(
        network, None if vae is None else vae.decoder, x_obs, mask, z,
        num_steps=setting.sizes.guide_steps, tau=ours.TAU, generator=generator,
    )  # fmt: skip
