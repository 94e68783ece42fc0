"""Train the score network of LDMiss on scaled latents (paper section 3 and appendix B)."""

from ldmiss.diffusion.objectives import latent_score_loss
from ldmiss.errors import InputError
from ldmiss.files.networks import with_prefix
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss.networks.layers import at_precision, init_fan_avg
from ldmiss.networks.unet import UNet
from ldmiss_pipeline.models.autoencoder import carried
from ldmiss_pipeline.models.unet import sde_from, unet_config
from ldmiss_pipeline.running.context import Context
from ldmiss_pipeline.running.training import new_network, train_network


def run(context: Context) -> str:
    """Write `models/ldmiss/<cell>.safetensors`, the score network with the autoencoder and scale it belongs to."""
    item, params, diffusion, runtime = context.item, context.params.ldmiss, context.params.diffusion, context.runtime
    vae_tensors, vae_facts = load_tensors(item.model("vae"), kind="vae")
    stored, latents_facts = load_tensors(item.latents(), kind="latents")
    if latents_facts["vae"] != vae_facts["digest"]:
        raise InputError(f"{item.latents()}: latents and scale of another VAE than {item.model('vae')}; `dvc repro`")
    latents = (stored["latents"] * stored["scale"]).to(runtime.device)
    channels, height, width = latents.shape[1:]
    config = unet_config(params.network, (channels, height, width))
    network = new_network(context, "ldmiss", lambda: UNet(**config), init_fan_avg)

    batch_loss = latent_score_loss(
        at_precision(network, runtime.dtype), sde_from(diffusion), latents,
        tau=diffusion.tau, weighting=params.loss.weighting,
    )  # fmt: skip
    training = train_network(context, "ldmiss", network, params.train, len(latents), batch_loss)
    save_tensors(
        item.model("ldmiss"),
        with_prefix("unet", training.result()) | vae_tensors | {"scale": stored["scale"]},
        kind="ldmiss",
        facts={
            "unet": config, "diffusion": diffusion.model_dump(), "shape": [channels, height, width],
            **carried(vae_facts), **context.stamp,
        },
    )  # fmt: skip
    return f"latent score network, final loss {training.curve[-1]:.4f}"
