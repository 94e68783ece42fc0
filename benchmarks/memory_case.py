"""One item of a stage at the paper's sizes, cut short, in a process of its own; `benchmarks.memory` starts it.

The stage's own code runs through the runner: 60,000 training and 10,000 test images of random bytes are resident, all
results of all images are allocated and kept. Cut short is what memory does not depend on: steps of samplers (by the
params), steps of training (an epoch is one batch), and chunks, of which the first and the last are computed and the
others filled with the first one's rows.
"""

import argparse
import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ldmiss.core.randomness import numpy_generator
from ldmiss_pipeline.artifacts.paths import RAW, Item
from ldmiss_pipeline.config.registry import METHODS
from ldmiss_pipeline.datasets import registry as datasets
from ldmiss_pipeline.datasets.registry import Images
from ldmiss_pipeline.running.runner import run_stage

if TYPE_CHECKING:
    from torch import Tensor

CELL = Item(0.5, 42)
SIZES = {"train": 60_000, "test": 10_000}
NUM_TRAINING_STEPS = 2
NUM_ENCODED = 4
"""Batches of `encode_latents` that are computed."""


def main() -> None:
    """Run the item, in the project that is the current folder; the runner prints and records its peak memory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory_case", description=__doc__.split("\n")[0])
    parser.add_argument("stage")
    parser.add_argument("--method", choices=list(METHODS))
    parser.add_argument("--imputer", help="only this one of the method's imputers")
    args = parser.parse_args()
    use_random_images()
    cut_short()
    if args.imputer:
        keep_one_imputer(args.method, args.imputer)
    once = args.stage in ("download", "train_classifier", "plot")
    run_stage(args.stage, Item() if once else dataclasses.replace(CELL, method=args.method))


def use_random_images() -> None:
    """MNIST is so many random bytes; there is nothing to download."""

    def load(folder: Path, split: str) -> Images:
        rng = numpy_generator(0, "memory", split)
        images = rng.integers(0, 256, size=(SIZES[split], 28, 28), dtype=np.uint8)
        return Images(images, rng.integers(0, 10, size=SIZES[split]))

    datasets.DATASETS["mnist"] = dataclasses.replace(datasets.DATASETS["mnist"], load=load)
    (RAW / "mnist").mkdir(parents=True, exist_ok=True)


def cut_short() -> None:
    """Few steps of training, few chunks of inference."""
    from ldmiss.training.loop import Training

    original_init = Training.__init__

    def init(self: Training, *args: Any, **kwargs: Any) -> None:
        original_init(self, *args, **kwargs)
        self.steps_per_epoch, self.num_steps = 1, NUM_TRAINING_STEPS

    Training.__init__ = init  # type: ignore[method-assign]
    for name in ("sample", "impute", "train_diffputer"):
        module = importlib.import_module(f"stages.{name}")
        module.in_chunks = _few_chunks(module.in_chunks)  # type: ignore[attr-defined]
    encode_latents = importlib.import_module("stages.encode_latents")
    original_forward = encode_latents.at_precision
    encode_latents.at_precision = lambda *args: _few_calls(original_forward(*args))  # type: ignore[attr-defined]


def _few_chunks(in_chunks: Callable[..., "Tensor"]) -> Callable[..., "Tensor"]:
    def shortened(
        checkpoint: Any, slot: str, num_rows: int, chunk_size: int, compute: Callable[[slice], "Tensor"], *rest: Any
    ) -> "Tensor":
        first: list[Tensor] = []

        def compute_some(rows: slice) -> "Tensor":
            if first and rows.stop < num_rows:
                return first[0][: rows.stop - rows.start].clone()
            first.append(compute(rows))
            return first[-1]

        return in_chunks(checkpoint, slot, num_rows, chunk_size, compute_some, *rest)

    return shortened


def _few_calls(forward: Callable[..., "Tensor"]) -> Callable[..., "Tensor"]:
    results: list[Tensor] = []

    def shortened(x: "Tensor") -> "Tensor":
        if len(results) < NUM_ENCODED:
            results.append(forward(x))
        return results[-1][: len(x)].clone()

    return shortened


def keep_one_imputer(method: str, name: str) -> None:
    """The stage finds one imputer, so that the peak is that one's."""
    module: Any = importlib.import_module(METHODS[method])
    load = module.load_imputers
    module.load_imputers = lambda *args: {name: load(*args)[name]}


if __name__ == "__main__":
    main()
