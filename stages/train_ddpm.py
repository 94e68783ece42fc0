"""Train the pixel-space score network with the loss on observed pixels (MissDiff; paper 4.1, Eq. 3)."""

from ldmiss.diffusion.sde import VPSDE
from ldmiss.files.tensors import save_tensors, with_prefix
from ldmiss.fitting.ddpm import fit_ddpm
from ldmiss.training.loop import Recipe
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.artifacts.incomplete import load_training_images
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `models/ddpm/<cell>.safetensors` and its loss curve."""
    item, params, diffusion, runtime = context.item, context.params.ddpm, context.params.diffusion, context.runtime
    training = load_training_images(item.observed(), runtime.device)
    value_range = context.params.dataset.range
    fitted = fit_ddpm(
        training.images, training.observed,
        network=params.network.model_dump(),
        recipe=Recipe(**params.train.model_dump()),
        sde=VPSDE(diffusion.beta_min, diffusion.beta_max), tau=diffusion.tau,
        weighting=params.loss.weighting, normalizer=params.loss.normalizer,
        fill=context.params.missing.fill, value_range=value_range,
        seed=item.root_seed, dtype=runtime.dtype, checkpoint=context.checkpoint,
    )  # fmt: skip
    save_tensors(
        item.model("ddpm"),
        with_prefix("unet", fitted.weights),
        kind="ddpm",
        metadata={
            "unet": fitted.config, "diffusion": diffusion.model_dump(), "value_range": value_range,
            **training.metadata, **context.stamp,
        },
    )  # fmt: skip
    save_curve(item.curve("ddpm"), fitted.curve)
    return f"pixel score network, final loss {fitted.curve[-1]:.4f}"
