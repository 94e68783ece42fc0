"""Fit a method that is not the paper's: those share this stage, so that adding one adds none."""

import importlib

from ldmiss.files.tensors import save_tensors
from ldmiss.fitting.method import FittedMethod
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.artifacts.incomplete import load_training_images
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `models/<method>/<cell>.safetensors` and its loss curve (empty where nothing is trained in epochs)."""
    item, runtime = context.item, context.runtime
    assert item.method is not None
    training = load_training_images(item.observed(), runtime.device)
    settings = getattr(context.params, item.method).train.model_dump()
    fitted: FittedMethod = importlib.import_module(f"ldmiss.fitting.{item.method}").fit(
        training.images, training.observed, **settings,
        seed=item.root_seed, dtype=runtime.dtype, checkpoint=context.checkpoint,
    )  # fmt: skip
    metadata = fitted.metadata | training.metadata | context.stamp
    save_tensors(item.model(item.method), fitted.tensors, kind=item.method, metadata=metadata)
    save_curve(item.curve(item.method), fitted.curve)
    return f"final loss {fitted.curve[-1]:.4f}" if fitted.curve else "fitted in closed form"
