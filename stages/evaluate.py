"""Measure one cell: generation by FID and IS, imputation by squared errors, FID, IS and accuracy (paper A.3), and more.

`stages.measure` lists the metrics. Reads the raw test images: the only stage after `mask` that sees the truth, apart
from the classifier's.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError
from stages.build.classifier import restore_classifier
from stages.context import Context
from stages.datasets import load_split
from stages.io import load_arrays, load_json, load_observed, save_arrays, save_json
from stages.measure import Yardstick, measure_generation, measure_imputation
from stages.paths import CLASSIFIER, CLASSIFIER_FACTS, RAW

SHEET_IMAGES = 20
"""Images of each kind kept for the figures."""


def run(context: Context) -> str:
    """Write `metrics/cells/<cell>.json`, and in `.npz` the few images and the curves that the figures show.

    `reliability/<imputer>` there: float64 (B, 3), columns predicted, actual, count; (0, 3) for fewer than three draws.
    """
    item, params = context.item, context.params
    test = load_split(params.dataset.name, RAW, "test")
    images, observed = load_observed(item.observed("test"))
    layer = params.evaluate.fid_layer
    classifier = restore_classifier(CLASSIFIER, context.runtime.device)
    yardstick = Yardstick(classifier, test, layer=layer, seed=item.root_seed)
    sheet: dict[str, NDArray[Any]] = {"truth": test.images[:SHEET_IMAGES], "observed_images": images[:SHEET_IMAGES],
                                      "observed": observed[:SHEET_IMAGES]}  # fmt: skip
    generation = {}
    for method in params.sample.methods:
        (samples,) = load_arrays(item.samples(method), "images")
        generation[method] = measure_generation(yardstick, samples)
        sheet[f"samples/{method}"] = _to_uint8(samples[:SHEET_IMAGES])
    imputation = {}
    for path in _imputed_files([item.imputed(method) for method in params.impute.methods]):
        completed, subset, draws = load_arrays(path, "images", "subset", "draws")
        imputation[path.stem], curve = measure_imputation(yardstick, completed, subset, draws, observed)
        sheet[f"reliability/{path.stem}"] = curve
        sheet[f"imputed/{path.stem}"] = _to_uint8(completed[:SHEET_IMAGES])
    save_arrays(item.sheet(), **sheet)
    metrics = {
        "missing_rate": item.missing_rate, "seed": item.seed,
        "generation": generation, "imputation": imputation,
        "classifier": _yardstick_facts(load_json(CLASSIFIER_FACTS), layer),
        "run": {
            "profile": params.profile, "recipe": params.recipe, "encoder_input": params.vae.encoder_input,
            "test_rate": params.missing.test_rate,
        },
    }  # fmt: skip
    save_json(item.metrics(), metrics)
    return f"{len(generation)} generators and {len(imputation)} imputers measured"


def _yardstick_facts(facts: dict[str, Any], layer: str) -> dict[str, Any]:
    """The classifier's facts, with the one FID floor that belongs beside this cell's FIDs."""
    others = {name: value for name, value in facts.items() if name != "fid_floors"}
    return {**others, "fid_layer": layer, "fid_floor": facts["fid_floors"][layer]}


def _imputed_files(folders: list[Path]) -> list[Path]:
    for folder in folders:
        if not any(folder.glob("*.npz")):
            raise InputError(f"{folder}: no imputed images; make them with `dvc repro`")
    return [path for folder in folders for path in sorted(folder.glob("*.npz"))]


def _to_uint8(images: NDArray[np.float16]) -> NDArray[np.uint8]:
    return np.round(images.astype(np.float32) * 255).astype(np.uint8)
