"""Measure one cell: generation by FID and IS, imputation by squared errors, FID, IS and accuracy (paper A.3), and more.

`stages.measure` lists the metrics. Reads the raw images: the only stage after `mask` that sees the truth, apart from
the classifier's.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError
from ldmiss.subsets import evenly_spread
from stages.build.classifier import extract_features, refuse_other_weights, restore_classifier, unit_images
from stages.context import Context
from stages.datasets import load_split
from stages.io import load_arrays, load_checked_json, load_observed, save_arrays, save_checked_json
from stages.measure import Yardstick, measure_generation, measure_imputation
from stages.paths import CLASSIFIER, CLASSIFIER_FACTS, RAW

SHEET_IMAGES = 20
"""Images of each kind kept for the figures."""


def run(context: Context) -> str:
    """Write `metrics/cells/<cell>.json`, and in `.npz` the few images and the curves that the figures show.

    `reliability/<imputer>` there: float64 (B, 3), columns predicted, actual, count; (0, 3) for fewer than three draws.

    An FID is larger for fewer images, so three floors stand beside it: `fid_floor` (as many real training images as
    there are test images, against the test images), `fid_floor_generated` (as many as were generated) and
    `fid_floor_imputed` (the imputed test images as they really are: what a perfect imputer would get).
    """
    item, params = context.item, context.params
    train, test = (load_split(params.dataset.name, RAW, split) for split in ("train", "test"))
    images, observed = load_observed(item.observed("test"))
    layer = params.evaluate.fid_layer
    facts = load_checked_json(CLASSIFIER_FACTS)
    refuse_other_weights(CLASSIFIER, facts)
    classifier = restore_classifier(CLASSIFIER, context.runtime.device)
    yardstick = Yardstick(classifier, test, layer=layer, seed=item.root_seed)
    sheet: dict[str, NDArray[Any]] = {}
    generation, num_generated = {}, 0
    for method in params.sample.methods:
        (samples,) = load_arrays(item.samples(method), "images")
        num_generated = len(samples)
        generation[method] = measure_generation(yardstick, samples)
        sheet[f"samples/{method}"] = _to_uint8(samples[:SHEET_IMAGES])
    imputation = {}
    num_draws, num_draw_images = 1, 0
    rows = np.arange(0)
    for path in _imputed_files([item.imputed(method) for method in params.impute.methods]):
        completed, rows, subset, draws = load_arrays(path, "images", "rows", "subset", "draws")
        num_draws, num_draw_images = max(num_draws, draws.shape[1]), len(subset)
        imputation[path.stem], curve = measure_imputation(yardstick, completed, rows, subset, draws, observed)
        sheet[f"reliability/{path.stem}"] = curve
        sheet[f"imputed/{path.stem}"] = _to_uint8(completed[:SHEET_IMAGES])
    shown = rows[:SHEET_IMAGES]
    sheet |= {"truth": test.images[shown], "observed_images": images[shown], "observed": observed[shown]}
    save_arrays(item.sheet(), facts=context.stamp, **sheet)
    real = train.images[evenly_spread(len(train.images), min(num_generated, len(train.images)))]
    floors = {
        "fid_floor_generated": yardstick.floor(extract_features(classifier, unit_images(real), layer)[0]),
        "fid_floor_imputed": yardstick.floor(yardstick.features[rows]),
    }
    metrics = {
        "missing_rate": item.missing_rate, "seed": item.seed,
        "generation": generation, "imputation": imputation,
        "classifier": _yardstick_facts(facts, layer) | floors,
        "run": {
            "profile": params.profile, "recipe": params.recipe, "encoder_input": params.vae.encoder_input,
            "test_rate": params.missing.test_rate, "fill": params.missing.fill, "num_generated": num_generated,
            "num_imputed": len(rows), "num_draws": num_draws, "num_draw_images": num_draw_images,
        },
        "stamp": context.stamp,
    }  # fmt: skip
    save_checked_json(item.metrics(), metrics)
    return f"{len(generation)} generators and {len(imputation)} imputers measured"


def _yardstick_facts(facts: dict[str, Any], layer: str) -> dict[str, Any]:
    """The classifier's facts, with the FID floor of the layer in use."""
    others = {name: value for name, value in facts.items() if name != "fid_floors"}
    return {**others, "fid_layer": layer, "fid_floor": facts["fid_floors"][layer]}


def _imputed_files(folders: list[Path]) -> list[Path]:
    for folder in folders:
        if not any(folder.glob("*.npz")):
            raise InputError(f"{folder}: no imputed images; make them with `dvc repro`")
    return [path for folder in folders for path in sorted(folder.glob("*.npz"))]


def _to_uint8(images: NDArray[np.float16]) -> NDArray[np.uint8]:
    return np.round(images.astype(np.float32) * 255).astype(np.uint8)
