"""Generate images with one method's trained model."""

import torch
from torch import Tensor

from ldmiss.core.batching import in_chunks, steps_slot
from ldmiss.core.noise import RowNoise
from ldmiss.core.randomness import derive_seed
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.files.tensors import load_metadata
from ldmiss.imputation.imputer import clip
from ldmiss_pipeline.artifacts.arrays import save_arrays
from ldmiss_pipeline.models.scaling import restore_bounds
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/samples/<cell>/<method>.npz`: float16 images (N, C, H, W), scaled."""
    item, params, runtime = context.item, context.params.sample, context.runtime
    assert item.method is not None
    generate = context.method.load_generator(item, context.params, runtime)
    metadata = load_metadata(item.model(item.method))
    bounds = restore_bounds(metadata, runtime.device)
    seed, name = derive_seed(item.root_seed, "sample", item.method), f"sample-{item.method}"

    def compute(rows: slice) -> Tensor:
        numbers = torch.arange(rows.start, rows.stop, device=runtime.device)
        noise = RowNoise(seed, numbers)
        saved = SavedSteps(context.checkpoint, steps_slot(name, rows), noise)
        return clip(generate(len(numbers), noise, saved), bounds).half()

    chunk_size = context.chunk_size(params.chunk_size, metadata["image_shape"])
    images = in_chunks(
        compute, params.num_images, name=name, chunk_size=chunk_size,
        num_at_a_time=runtime.num_at_a_time, checkpoint=context.checkpoint,
    )  # fmt: skip
    save_arrays(item.samples(item.method), metadata=context.stamp, images=images.numpy())
    return f"{len(images)} images"
