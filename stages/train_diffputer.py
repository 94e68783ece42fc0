"""Fit DiffPuter by expectation-maximisation on the incomplete training images (Zhang et al. 2025; paper 4.1)."""

from ldmiss.diffputer.em import Sampling
from ldmiss.files.tensors import save_tensors, with_prefix
from ldmiss.fitting.diffputer import EMSettings, fit_diffputer
from ldmiss.training.loop import Recipe
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.artifacts.incomplete import load_training_images
from ldmiss_pipeline.config.schema import DiffPuter
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `models/diffputer/<cell>.safetensors` and the loss curve of its M-steps."""
    item, params, runtime = context.item, context.params.diffputer, context.runtime
    training = load_training_images(item.observed(), runtime.device)
    chunk_size = context.chunk_size(params.em.e_step.chunk_size, training.images.shape[1:])
    fitted = fit_diffputer(
        training.images.flatten(1), training.observed.flatten(1),
        settings=em_settings(params),
        chunk_size=chunk_size, num_at_a_time=runtime.num_at_a_time,
        seed=item.root_seed, dtype=runtime.dtype, checkpoint=context.checkpoint,
    )  # fmt: skip
    moments = {"mean": fitted.normalizer.mean.cpu().contiguous(), "std": fitted.normalizer.std.cpu().contiguous()}
    save_tensors(
        item.model("diffputer"),
        with_prefix("mlp", fitted.weights) | moments,
        kind="diffputer",
        metadata={
            "mlp": fitted.config, **training.metadata, **context.stamp,
        },
    )  # fmt: skip
    save_curve(item.curve("diffputer"), fitted.curve)
    return f"{params.em.num_iterations} EM iterations, final loss {fitted.curve[-1]:.4f}"


def em_settings(params: DiffPuter) -> EMSettings:
    """The settings of the params' section; an E-step that takes a sample draws once."""
    em, e_step = params.em, params.em.e_step
    return EMSettings(
        hidden=params.network.hidden,
        num_iterations=em.num_iterations,
        first=Recipe(**em.train_first.model_dump()),
        later=Recipe(**em.train_next.model_dump()),
        sampling=Sampling(e_step.num_steps, e_step.num_resamples),
        num_trials=e_step.num_trials,
        warm_start=em.warm_start,
        per_feature=params.normalize == "per_feature",
        std_floor=params.std_floor,
    )
