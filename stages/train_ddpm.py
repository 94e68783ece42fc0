"""Train the pixel-space score network with the loss on observed pixels (MissDiff; paper 4.1, Eq. 3)."""

from ldmiss.core.fill import fill_image
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.diffusion.objectives import pixel_score_loss
from ldmiss.files.networks import with_prefix
from ldmiss.files.tensors import save_tensors
from ldmiss.networks.layers import at_precision, init_fan_avg
from ldmiss.networks.unet import UNet
from ldmiss_pipeline.artifacts.incomplete import load_dataset_name, load_incomplete
from ldmiss_pipeline.models.unet import sde_from, unet_config
from ldmiss_pipeline.running.context import Context
from ldmiss_pipeline.running.training import new_network, train_network


def run(context: Context) -> str:
    """Write `models/ddpm/<cell>.safetensors` and its loss curve."""
    item, params, diffusion, runtime = context.item, context.params.ddpm, context.params.diffusion, context.runtime
    images, observed = load_incomplete(item.observed("train"), runtime.device)
    value_range = context.params.dataset.range
    channels, height, width = images.shape[1:]
    config = unet_config(params.network, (channels, height, width))
    network = new_network(context, "ddpm", lambda: UNet(**config), init_fan_avg)

    batch_loss = pixel_score_loss(
        at_precision(network, runtime.dtype), sde_from(diffusion), images, observed,
        tau=diffusion.tau, weighting=params.loss.weighting, normaliser=params.loss.normaliser,
        fill=fill_image(context.params.missing.fill, unit_from_uint8(images), observed), value_range=value_range,
    )  # fmt: skip
    training = train_network(context, "ddpm", network, params.train, len(images), batch_loss)
    save_tensors(
        item.model("ddpm"),
        with_prefix("unet", training.result()),
        kind="ddpm",
        facts={
            "unet": config, "diffusion": diffusion.model_dump(), "shape": [channels, height, width],
            "value_range": value_range, "dataset": load_dataset_name(item.observed("train")),
            **context.stamp,
        },
    )  # fmt: skip
    return f"pixel score network, final loss {training.curve[-1]:.4f}"
