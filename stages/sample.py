"""Generate images with one method's trained model."""

import torch
from torch import Tensor

from ldmiss.core.batching import in_chunks, steps_slot
from ldmiss.core.noise import RowNoise
from ldmiss.core.randomness import derive_seed
from ldmiss.core.saved_steps import SavedSteps
from ldmiss_pipeline.artifacts.arrays import save_arrays
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/samples/<cell>/<method>.npz`: float16 images (N, H, W) in [0, 1]."""
    item, params, runtime = context.item, context.params.sample, context.runtime
    assert item.method is not None
    generate = context.method.load_generator(item, context.params, runtime)
    seed, name = derive_seed(item.root_seed, "sample", item.method), f"sample-{item.method}"

    def compute(rows: slice) -> Tensor:
        numbers = torch.arange(rows.start, rows.stop, device=runtime.device)
        noise = RowNoise(seed, numbers)
        return generate(len(numbers), noise, SavedSteps(context.checkpoint, steps_slot(name, rows), noise)).half()

    images = in_chunks(
        compute, params.num_images, name=name, chunk_size=context.chunk_size(params.chunk_size),
        num_at_a_time=runtime.num_at_a_time, checkpoint=context.checkpoint,
    )  # fmt: skip
    save_arrays(item.samples(item.method), metadata=context.stamp, images=images[:, 0].numpy())
    return f"{len(images)} images"
