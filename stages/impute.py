"""Complete the test images with every imputer of one method.

One draw for every test image, and K draws for a fixed random subset where the imputer is stochastic (K draws of
everything would cost K times the whole rest). Draw 0 of the subset is the one draw of those images.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldmiss.core.batching import in_chunks, steps_slot
from ldmiss.core.noise import RowNoise
from ldmiss.core.randomness import derive_seed
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.core.scaling import Scaler
from ldmiss.core.subsets import draw_subset, evenly_spread
from ldmiss.errors import InputError
from ldmiss.files.tensors import load_metadata
from ldmiss.imputation.imputer import Bounds, Imputer
from ldmiss_pipeline.artifacts.arrays import save_arrays
from ldmiss_pipeline.artifacts.incomplete import scale_observed
from ldmiss_pipeline.artifacts.observed import load_observed, load_observed_metadata
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST
from ldmiss_pipeline.models.scaling import restore_bounds
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/imputed/<cell>/<method>/<imputer>.npz`.

    images: float16 (N, C, H, W), completed test images, scaled, observed values as given (to float16); rows: int64
    (N,), which of the test images they are, evenly spread; subset: int64 (S,), which of `images` have several draws;
    draws: float16 (S, K, C, H, W), K = 1 for an imputer that is not stochastic.
    """
    item, params, device = context.item, context.params.impute, context.runtime.device
    assert item.method is not None
    refuse_other_dataset(item.model(item.method), OBSERVED_TEST)
    metadata = load_metadata(item.model(item.method))
    images, known = load_observed(OBSERVED_TEST)
    num_images = len(images) if params.num_images == "all" else min(params.num_images, len(images))
    chosen = evenly_spread(len(images), num_images)
    x_obs = scale_observed(Scaler.from_dict(metadata["scaler"]), images[chosen], known[chosen], device)
    observed, rows = torch.from_numpy(known[chosen]).to(device), torch.from_numpy(chosen).to(device)
    bounds = restore_bounds(metadata, device)
    subset = draw_subset(num_images, params.num_draw_images)
    imputers = context.method.load_imputers(item, context.params, context.runtime)
    for name, imputer in imputers.items():
        row_images, row_draws = rows_to_impute(num_images, subset, params.num_draws if imputer.stochastic else 1)
        seed = derive_seed(item.root_seed, "impute", name)
        row_images, row_draws = row_images.to(device), row_draws.to(device)
        noise_of = partial(noise_of_rows, seed, rows[row_images], row_draws)
        completed = complete_rows(
            context, name, imputer, x_obs, observed, row_images, noise_of, bounds, params.chunk_size
        )
        draws = torch.cat([completed[subset], completed[num_images:]])
        draws = draws.reshape(-1, len(subset), *draws.shape[1:]).transpose(0, 1)
        save_arrays(
            item.imputed(item.method) / f"{name}.npz",
            metadata=context.stamp,
            images=completed[:num_images].numpy(), rows=chosen, subset=subset, draws=draws.numpy(),
        )  # fmt: skip
    return f"{num_images} images by {', '.join(imputers)}"


def refuse_other_dataset(model: Path, images: Path) -> None:
    """Raise InputError where a model was trained on another data set than the images are from, or does not say which.

    All 5,000 digits of mnist5k are training images of mnist, test split included.
    """
    trained_on = load_metadata(model).get("dataset")
    given = load_observed_metadata(images, "dataset")["dataset"]
    if trained_on is None:
        raise InputError(
            f"{model}: its metadata have no entry 'dataset', the data set that the model was trained on; what trains a "
            "method has to write it (CONTRIBUTING.md, Adding a method)"
        )
    if trained_on != given:
        raise InputError(
            f"{model}: trained on dataset {trained_on!r}, but {images} is of {given!r}; "
            "it may have seen these very images: train it on the same data set with `dvc repro`"
        )


def rows_to_impute(num_images: int, subset: NDArray[np.int64], num_draws: int) -> tuple[Tensor, Tensor]:
    """(image, draw) of every row: draw 0 of all images, then draws 1 to K-1 of the subset; int64 (rows,) each."""
    images, draws = [torch.arange(num_images)], [torch.zeros(num_images, dtype=torch.int64)]
    for draw in range(1, num_draws):
        images.append(torch.from_numpy(subset))
        draws.append(torch.full((len(subset),), draw))
    return torch.cat(images), torch.cat(draws)


def noise_of_rows(seed: int, numbers: Tensor, draws: Tensor, rows: slice) -> RowNoise:
    """Noise by the number of the image in the test set: a draw does not depend on how many images are imputed."""
    return RowNoise(seed, numbers[rows], draws[rows])


def complete_rows(
    context: Context,
    name: str,
    imputer: Imputer,
    x_obs: Tensor,
    observed: Tensor,
    images: Tensor,
    noise_of: Callable[[slice], RowNoise],
    bounds: Bounds,
    declared: int | Literal["auto"],
) -> Tensor:
    """A completion for each row, chunk by chunk: scaled float16 (rows, C, H, W), on the CPU.

    Args:
        context: for its checkpoints, and how many chunks at a time.
        name: of the imputer, for checkpoints and messages.
        imputer: completes images.
        x_obs, observed: the images, scaled, (N, C, H, W).
        images: which of them each row completes, int64 (rows,).
        noise_of: a slice of the rows to their noise.
        bounds: results are clipped to them.
        declared: rows at a time, as the params have it.
    """

    def compute(rows: slice) -> Tensor:
        noise = noise_of(rows)
        saved = SavedSteps(context.checkpoint, steps_slot(name, rows), noise)
        return imputer(x_obs[images[rows]], observed[images[rows]], noise, saved, bounds).half()

    chunk_size = context.chunk_size(declared, x_obs.shape[1:])
    return in_chunks(
        compute, len(images), name=name, chunk_size=chunk_size,
        num_at_a_time=context.runtime.num_at_a_time, checkpoint=context.checkpoint,
    )  # fmt: skip
