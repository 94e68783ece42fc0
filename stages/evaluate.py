"""Measure one cell: generation by FID and IS, imputation by squared errors, FID, IS and accuracy (paper A.3), and more.

`stages.measure` lists the metrics. Reads the raw images: the only stage after `mask` that sees the truth, apart from
the classifier's. Files of other methods are removed from the cell's input folders first (they stay in DVC's cache):
DVC hashes these folders as a whole.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError
from ldmiss.subsets import evenly_spread
from stages.build.classifier import extract_features, load_facts, restore_classifier, unit_images
from stages.context import Context
from stages.datasets import Images, load_split
from stages.io import load_arrays, load_observed, save_arrays, save_checked_json
from stages.measure import Yardstick, measure_generation, measure_imputation
from stages.paths import CLASSIFIER, CLASSIFIER_FACTS, RAW, remove_others

if TYPE_CHECKING:
    from stages.schema import Params

SHEET_IMAGES = 20
"""Images of each kind kept for the figures."""
_SECTIONS = (
    "compute", "dataset", "missing", "diffusion", "vae", "latents", "ldmiss", "ddpm", "diffputer", "baselines",
    "sample", "impute", "evaluate",
)  # fmt: skip
_LEFT_OUT = {"device", "num_threads", "deterministic", "chunk_size", "methods"}
"""Keys in them that say where and which, not what: at most low-order bits of a method's metrics change with them."""


@dataclass(frozen=True)
class Measured:
    """What was measured of generation, or of imputation.

    Attributes:
        metrics: of each method.
        sheet: images and curves for the figures, by name.
        floor: the FID of as many real images.
        sizes: how many images and draws were measured, for the facts of the run.
    """

    metrics: dict[str, dict[str, float]]
    sheet: dict[str, NDArray[Any]]
    floor: float
    sizes: dict[str, int]


def run(context: Context) -> str:
    """Write `metrics/cells/<cell>.json`, and in `.npz` the few images and the curves that the figures show.

    `reliability/<imputer>` there: float64 (B, 3), columns predicted, actual, count; (0, 3) for fewer than three draws.

    An FID is larger for fewer images, so three floors stand beside it: `fid_floor` (as many real training images as
    there are test images, against the test images), `fid_floor_generated` (as many as were generated) and
    `fid_floor_imputed` (the imputed test images as they really are: what a perfect imputer would get).
    """
    item, params = context.item, context.params
    samples = [item.samples(method) for method in params.sample.methods]
    imputed = [item.imputed(method) for method in params.impute.methods]
    remove_others([*samples, *imputed])
    train, test = (load_split(params.dataset.name, RAW, split) for split in ("train", "test"))
    facts, layer = load_facts(CLASSIFIER_FACTS), params.evaluate.fid_layer
    classifier = restore_classifier(CLASSIFIER, context.runtime.device, sha256=facts["sha256"])
    yardstick = Yardstick(classifier, test, layer=layer, seed=item.root_seed)
    generation = _measure_samples(yardstick, samples, train)
    imputation = _measure_imputed(yardstick, _imputed_files(imputed), item.observed("test"))
    save_arrays(item.sheet(), facts=context.stamp, **generation.sheet, **imputation.sheet)
    metrics = {
        "missing_rate": item.missing_rate, "seed": item.seed,
        "generation": generation.metrics, "imputation": imputation.metrics,
        "classifier": {
            **_yardstick_facts(facts, layer),
            "fid_floor_generated": generation.floor, "fid_floor_imputed": imputation.floor,
        },
        "run": {
            "profile": params.profile, "recipe": params.recipe, "protocol": params.protocol,
            "encoder_input": params.vae.encoder_input, "test_rate": params.missing.test_rate,
            "fill": params.missing.fill,
            "deterministic": params.compute.deterministic, **generation.sizes, **imputation.sizes,
            "params_sha256": params_sha256(params),
        },
        "stamp": context.stamp,
    }  # fmt: skip
    save_checked_json(item.metrics(), metrics)
    return f"{len(generation.metrics)} generators and {len(imputation.metrics)} imputers measured"


def _measure_samples(yardstick: Yardstick, files: list[Path], train: Images) -> Measured:
    """Generated images, a file a method; the floor is of training images."""
    metrics, sheet = {}, {}
    for path in files:
        (samples,) = load_arrays(path, "images")
        metrics[path.stem] = measure_generation(yardstick, samples)
        sheet[f"samples/{path.stem}"] = _to_uint8(samples[:SHEET_IMAGES])
    num_generated, num_train = len(samples), len(train.images)
    real = train.images[evenly_spread(num_train, min(num_generated, num_train))]
    features, _ = extract_features(yardstick.classifier, unit_images(real), yardstick.layer)
    return Measured(metrics, sheet, yardstick.floor(features), {"num_generated": num_generated})


def _measure_imputed(yardstick: Yardstick, files: list[Path], incomplete: Path) -> Measured:
    """Imputed test images, a file an imputer."""
    images, observed = load_observed(incomplete)
    metrics, num_draws = {}, 1
    sheet: dict[str, NDArray[Any]] = {}
    for path in files:
        completed, rows, subset, draws = load_arrays(path, "images", "rows", "subset", "draws")
        metrics[path.stem], sheet[f"reliability/{path.stem}"] = measure_imputation(
            yardstick, completed, rows, subset, draws, observed
        )
        sheet[f"imputed/{path.stem}"] = _to_uint8(completed[:SHEET_IMAGES])
        num_draws = max(num_draws, draws.shape[1])
    truth, shown = yardstick.test.images, rows[:SHEET_IMAGES]
    sheet |= {"truth": truth[shown], "observed_images": images[shown], "observed": observed[shown]}
    sizes = {"num_imputed": len(rows), "num_draws": num_draws, "num_draw_images": len(subset)}
    return Measured(metrics, sheet, yardstick.floor(yardstick.features[rows]), sizes)


def _yardstick_facts(facts: dict[str, Any], layer: str) -> dict[str, Any]:
    """The classifier's facts, with the FID floor of the layer in use."""
    others = {name: value for name, value in facts.items() if name != "fid_floors"}
    return {**others, "fid_layer": layer, "fid_floor": facts["fid_floors"][layer]}


def params_sha256(params: "Params") -> str:
    """Hash of all params that a metric follows from, given the classifier: cells of one grid have the same."""
    sections = {name: _relevant(getattr(params, name).model_dump()) for name in _SECTIONS}
    return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()


def _relevant(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _relevant(part) for key, part in value.items() if key not in _LEFT_OUT}


def _imputed_files(folders: list[Path]) -> list[Path]:
    for folder in folders:
        if not any(folder.glob("*.npz")):
            raise InputError(f"{folder}: no imputed images; make them with `dvc repro`")
    return [path for folder in folders for path in sorted(folder.glob("*.npz"))]


def _to_uint8(images: NDArray[np.float16]) -> NDArray[np.uint8]:
    return np.round(images.astype(np.float32) * 255).astype(np.uint8)
