"""Train the score network of LDMiss on scaled latents (paper section 3 and appendix B)."""

from ldmiss.diffusion.sde import VPSDE
from ldmiss.errors import InputError
from ldmiss.files.tensors import load_tensors, save_tensors, with_prefix
from ldmiss.fitting.ldm import fit_ldm
from ldmiss.training.loop import Recipe
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.running.context import Context

_OF_THE_VAE = ("vae", "value_range", "robust", "dataset", "scaler", "image_shape")
"""Metadata of the autoencoder's file that the model's file repeats: it carries the autoencoder along."""


def run(context: Context) -> str:
    """Write `models/ldmiss/<cell>.safetensors`, the score network with the autoencoder and scale it belongs to."""
    item, params, diffusion, runtime = context.item, context.params.ldmiss, context.params.diffusion, context.runtime
    vae_tensors, vae_metadata = load_tensors(item.model("vae"), kind="vae")
    stored, latents_metadata = load_tensors(item.latents(), kind="latents")
    if latents_metadata["vae"] != vae_metadata["digest"]:
        raise InputError(f"{item.latents()}: latents and scale of another VAE than {item.model('vae')}; `dvc repro`")
    latents = (stored["latents"] * stored["scale"]).to(runtime.device)
    fitted = fit_ldm(
        latents,
        network=params.network.model_dump(),
        recipe=Recipe(**params.train.model_dump()),
        sde=VPSDE(diffusion.beta_min, diffusion.beta_max), tau=diffusion.tau, weighting=params.loss.weighting,
        seed=item.root_seed, dtype=runtime.dtype, checkpoint=context.checkpoint,
    )  # fmt: skip
    save_tensors(
        item.model("ldmiss"),
        with_prefix("unet", fitted.weights) | vae_tensors | {"scale": stored["scale"]},
        kind="ldmiss",
        metadata={
            "unet": fitted.config, "diffusion": diffusion.model_dump(), "shape": list(latents.shape[1:]),
            **{name: vae_metadata[name] for name in _OF_THE_VAE}, **context.stamp,
        },
    )  # fmt: skip
    save_curve(item.curve("ldmiss"), fitted.curve)
    return f"latent score network, final loss {fitted.curve[-1]:.4f}"
