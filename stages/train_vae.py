"""Train the KL-regularised autoencoder on incomplete images (paper sections 3, 4.1 and A.1.2)."""

from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.core.fill import fill_image
from ldmiss.files.tensors import save_tensors, with_prefix
from ldmiss.fitting.vae import fit_vae
from ldmiss.training.loop import Recipe
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.artifacts.incomplete import load_training_images
from ldmiss_pipeline.running.context import Context

_ROBUST_FILL = "grey"


def run(context: Context) -> str:
    """Write `models/vae/<cell>.safetensors` and its loss curve.

    `vae.encoder_input: robust` is one recipe and brings its grey fill along, whatever `missing.fill` says.
    """
    item, params, runtime = context.item, context.params.vae, context.runtime
    training = load_training_images(item.observed(), runtime.device)
    robust = params.encoder_input == "robust"
    kind = _ROBUST_FILL if robust else context.params.missing.fill
    fill = fill_image(kind, training.images, training.observed)
    fitted = fit_vae(
        training.images, training.observed,
        network=params.network.model_dump(),
        encoder_input=EncoderInput(fill, context.params.dataset.range, robust),
        recipe=Recipe(**params.train.model_dump()),
        kl_weight=params.kl_weight,
        seed=item.root_seed, dtype=runtime.dtype, checkpoint=context.checkpoint,
    )  # fmt: skip
    save_tensors(
        item.model("vae"),
        with_prefix("vae", fitted.weights) | {"fill": fill.cpu()},
        kind="vae",
        metadata={
            "vae": fitted.config, "value_range": context.params.dataset.range, "robust": robust,
            **training.metadata, **context.stamp,
        },
    )  # fmt: skip
    save_curve(item.curve("vae"), fitted.curve)
    return f"autoencoder, final loss {fitted.curve[-1]:.3f} per image"
