"""Generate images with one method's trained model."""

from types import ModuleType

import torch

from ldmiss.core.batching import in_chunks
from ldmiss.core.noise import RowNoise
from ldmiss.core.progress import progress_bar
from ldmiss.core.randomness import derive_seed
from ldmiss_pipeline.artifacts.arrays import save_arrays
from ldmiss_pipeline.compute.batching import chunk_size
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/samples/<cell>/<method>.npz`: float16 images (N, H, W) in [0, 1]."""
    item, params, device = context.item, context.params.sample, context.runtime.device
    assert isinstance(context.method, ModuleType)
    assert item.method is not None
    generate = context.method.load_generator(item, context.params, context.runtime)
    seed = derive_seed(item.root_seed, "sample", item.method)
    size = chunk_size(context, params.chunk_size)

    def compute(rows: slice) -> torch.Tensor:
        numbers = torch.arange(rows.start, rows.stop, device=device)
        return generate(len(numbers), RowNoise(seed, numbers)).half()

    at_a_time = context.runtime.num_at_a_time
    with progress_bar(f"sample {item.method}", params.num_images, "image") as bar:
        images = in_chunks(context.checkpoint, "sample", params.num_images, size, compute, bar.update, at_a_time)
    save_arrays(item.samples(item.method), facts=context.stamp, images=images[:, 0].numpy())
    return f"{len(images)} images"
