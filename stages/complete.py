"""Complete a person's own images: all of them, from all of their known pixels, in the form in which they came.

The model was trained without the pixels that are held out to estimate its error; what is delivered is conditioned on
them, too.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ldmiss.core.randomness import derive_seed
from ldmiss.core.scaling import Scaler
from ldmiss.core.subsets import evenly_spread
from ldmiss.figures.completed import draw_completed
from ldmiss.figures.style import render
from ldmiss.files.atomic import save_bytes
from ldmiss.files.completed import Completed, complete_images, write_folder, write_npz
from ldmiss.files.incomplete import IncompleteImages
from ldmiss.files.tensors import load_metadata
from ldmiss.imputation.imputer import Imputer
from ldmiss_pipeline.artifacts.incomplete import scale_observed
from ldmiss_pipeline.artifacts.paths import RAW
from ldmiss_pipeline.datasets.own import load_own
from ldmiss_pipeline.models.scaling import restore_bounds
from ldmiss_pipeline.running.context import Context
from stages.impute import complete_rows, noise_of_rows

NUM_SHOWN = 8
"""Images of the sheet, evenly spread."""


def run(context: Context) -> str:
    """Write `data/completed/<cell>/<method>/<imputer>.npz`, a sheet to look at, and a folder where images came in one.

    Draws are float16 on the way: off by up to a thousandth of the standard deviation of the data, two from the mean.
    """
    item = context.item
    assert item.method is not None
    images, metadata = load_own(RAW), load_metadata(item.model(item.method))
    scaler = Scaler.from_dict(metadata["scaler"])
    imputers = context.method.load_imputers(item, context.params, context.runtime)
    for name, imputer in imputers.items():
        draws = _draw(context, name, imputer, images, metadata)
        _write(item.completed(item.method) / name, images, complete_images(images, draws, scaler.from_scaled))
    return f"{len(images.values)} images by {', '.join(imputers)}"


def _draw(
    context: Context, name: str, imputer: Imputer, images: IncompleteImages, metadata: dict[str, Any]
) -> NDArray[np.float16]:
    """Scaled draws of all images, (N, K, C, H, W); K = 1 for an imputer that is not stochastic."""
    params, device = context.params.complete, context.runtime.device
    x_obs = scale_observed(Scaler.from_dict(metadata["scaler"]), images.values, images.observed, device)
    observed, bounds = torch.from_numpy(images.observed).to(device), restore_bounds(metadata, device)
    num_draws = params.num_draws if imputer.stochastic else 1
    seed = derive_seed(context.item.root_seed, "complete", name)

    num_images = len(images.values)
    of_rows = torch.arange(num_images, device=device).repeat_interleave(num_draws)
    noise_of = partial(noise_of_rows, seed, of_rows, torch.arange(num_draws, device=device).repeat(num_images))
    draws = complete_rows(context, name, imputer, x_obs, observed, of_rows, noise_of, bounds, params.chunk_size)
    return draws.numpy().reshape(-1, num_draws, *draws.shape[1:])


def _write(path: Path, images: IncompleteImages, completed: Completed) -> None:
    """`path` with a suffix of its own for each file, and as a folder."""
    write_npz(path.with_name(f"{path.name}.npz"), images, completed)
    shown = evenly_spread(len(images.values), min(NUM_SHOWN, len(images.values)))
    sheet = draw_completed(
        images.values[shown], images.observed[shown], completed.images[shown], completed.sd[shown],
        [images.label(index) for index in shown],
    )  # fmt: skip
    save_bytes(path.with_name(f"{path.name}.png"), render(sheet, "png"))
    if images.names is not None:
        write_folder(path, images, completed.images)
