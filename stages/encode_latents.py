"""Encode the incomplete training images once: cached latents and their scale (paper A.2.2)."""

import torch

from ldmiss.autoencoding.codecs import latent_scale
from ldmiss.networks.layers import at_precision
from ldmiss.pixels import fill_missing, network_from_unit, unit_from_uint8
from stages.build.autoencoder import restore_autoencoder
from stages.build.data import load_incomplete
from stages.context import Context
from stages.io import load_tensors, save_tensors

_BATCH_SIZE = 500


@torch.no_grad()
def run(context: Context) -> str:
    """Write `data/latents/<cell>.safetensors`: the posterior means (N, 2, 7, 7), not scaled, and 1 / their std."""
    item, runtime = context.item, context.runtime
    path = item.model("vae")
    tensors, facts = load_tensors(path, kind="vae")
    encoder = at_precision(restore_autoencoder(path, tensors, facts, runtime.device).encoder, runtime.dtype)
    images, observed = load_incomplete(item.observed("train"), runtime.device)
    latents = torch.cat(
        [
            encoder(network_from_unit(fill_missing(unit_from_uint8(x), known, facts["fill"]))).chunk(2, dim=1)[0].cpu()
            for x, known in zip(torch.split(images, _BATCH_SIZE), torch.split(observed, _BATCH_SIZE), strict=True)
        ]
    )
    scale = latent_scale(latents)
    save_tensors(item.latents(), {"latents": latents}, kind="latents", facts={"scale": scale})
    return f"{len(latents)} latents of shape {tuple(latents.shape[1:])}, scale {scale:.4f}"
