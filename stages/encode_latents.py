"""Encode the incomplete training images once: cached latents and their scale (paper A.2.2)."""

from ldmiss.autoencoding.codecs import latent_scale
from ldmiss.autoencoding.encoding import encode_images
from ldmiss.core.randomness import derive_seed
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss.networks.layers import at_precision
from ldmiss_pipeline.artifacts.incomplete import load_training_images
from ldmiss_pipeline.models.autoencoder import restore_autoencoder, restore_encoder_input
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/latents/<cell>.safetensors`: latents (N, C, h, w), not scaled, and their scale."""
    item, params, runtime = context.item, context.params.latents, context.runtime
    path = item.model("vae")
    tensors, metadata = load_tensors(path, kind="vae")
    training = load_training_images(item.observed(), runtime.device)
    latents = encode_images(
        at_precision(restore_autoencoder(path, tensors, metadata, runtime.device).encoder, runtime.dtype),
        training.images, training.observed,
        encoder_input=restore_encoder_input(tensors, metadata, runtime.device),
        source=params.source, seed=derive_seed(item.root_seed, "latents"),
    )  # fmt: skip
    scale = latent_scale(latents, params.scale)
    metadata = {"vae": metadata["digest"]} | context.stamp
    save_tensors(item.latents(), {"latents": latents, "scale": scale}, kind="latents", metadata=metadata)
    factors = ", ".join(f"{factor:.4f}" for factor in scale.flatten().tolist())
    return f"{len(latents)} latents of shape {tuple(latents.shape[1:])}, scale {factors}"
