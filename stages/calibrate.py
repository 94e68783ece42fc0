"""Measure what LDMiss's decoder leaves out, on re-hidden pixels of training images, so that its draws are honest."""

from ldmiss.files.tensors import load_tensors, save_tensors, with_prefix
from ldmiss.fitting.posterior import calibrate
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.artifacts.incomplete import load_training_images
from ldmiss_pipeline.models.posterior import restore_posterior
from ldmiss_pipeline.running.context import Context

_OF_LDMISS = (
    "unet", "diffusion", "shape", "vae", "value_range", "robust", "dataset", "scaler", "image_shape",
)  # fmt: skip
"""Metadata of LDMiss's file that the model's file repeats: it carries the networks along."""


def run(context: Context) -> str:
    """Write `models/posterior/<cell>.safetensors`, LDMiss with how its draws are made, and an empty loss curve."""
    item, params, runtime = context.item, context.params.posterior.calibrate, context.runtime
    tensors, metadata = load_tensors(item.model("ldmiss"), kind="ldmiss")
    sampling = params.sampling.model_dump()
    posterior = restore_posterior(item.model("ldmiss"), tensors, metadata, sampling, runtime)
    training = load_training_images(item.observed(), runtime.device)
    calibration = calibrate(
        training.images, training.observed,
        encode=posterior.encode, decode=posterior.codec.decode, decode_draw=posterior.decode_draw,
        num_images=params.num_images, min_kept=params.min_kept, seed=item.root_seed,
        chunk_size=context.chunk_size(params.chunk_size, training.images.shape[1:]),
        num_at_a_time=runtime.num_at_a_time, checkpoint=context.checkpoint,
    )  # fmt: skip
    carried = {name: metadata[name] for name in _OF_LDMISS}
    save_tensors(
        item.model("posterior"), tensors | with_prefix("residual", vars(calibration.residual)),
        kind="posterior",
        metadata={**carried, "sampling": sampling, "noise_sd": calibration.noise_sd, **context.stamp},
    )  # fmt: skip
    save_curve(item.curve("posterior"), [])
    return f"known values are {calibration.noise_sd:.3f} off their decoding"
