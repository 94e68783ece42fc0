"""Encode the incomplete training images once: cached latents and their scale (paper A.2.2)."""

import torch
from torch import Tensor

from ldmiss.autoencoding.codecs import latent_scale
from ldmiss.autoencoding.posterior import DiagonalGaussian
from ldmiss.core.noise import RowNoise
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.core.randomness import derive_seed
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss.networks.layers import at_precision
from ldmiss_pipeline.artifacts.incomplete import load_incomplete
from ldmiss_pipeline.models.autoencoder import restore_autoencoder, restore_encoder_input
from ldmiss_pipeline.running.context import Context

_BATCH_SIZE = 100
"""As for the classifier's features: more is slower on a CPU."""


@torch.no_grad()
def run(context: Context) -> str:
    """Write `data/latents/<cell>.safetensors`: latents (N, 2, 7, 7), not scaled, and their scale."""
    item, params, runtime = context.item, context.params.latents, context.runtime
    path = item.model("vae")
    tensors, facts = load_tensors(path, kind="vae")
    encoder = at_precision(restore_autoencoder(path, tensors, facts, runtime.device).encoder, runtime.dtype)
    encoder_input = restore_encoder_input(tensors, facts, runtime.device)
    images, observed = load_incomplete(item.observed("train"), runtime.device)
    seed = derive_seed(item.root_seed, "latents")

    def encode(rows: Tensor) -> Tensor:
        x = encoder_input(unit_from_uint8(images[rows]), observed[rows])
        posterior = DiagonalGaussian(*encoder(x).chunk(2, dim=1))
        if params.source == "mean":
            return posterior.mean.cpu()
        return posterior.sample(RowNoise(seed, rows)(posterior.mean)).cpu()

    rows = torch.arange(len(images), device=runtime.device)
    latents = torch.cat([encode(batch) for batch in torch.split(rows, _BATCH_SIZE)])
    scale = latent_scale(latents, params.scale)
    facts = {"vae": facts["digest"]}
    save_tensors(item.latents(), {"latents": latents, "scale": scale}, kind="latents", facts=facts | context.stamp)
    factors = ", ".join(f"{factor:.4f}" for factor in scale.flatten().tolist())
    return f"{len(latents)} latents of shape {tuple(latents.shape[1:])}, scale {factors}"
