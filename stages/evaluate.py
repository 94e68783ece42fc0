"""Measure one cell: generation by FID and IS, imputation by squared errors, FID, IS and accuracy (paper A.3), and more.

`ldmiss.evaluation.measurement` lists the metrics. Reads the raw images: the only stage after `mask` that sees the truth, apart from
the classifier's. Files of other methods are removed from the cell's input folders first (they stay in DVC's cache):
DVC hashes these folders as a whole.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.classifier.features import extract_features, unit_images
from ldmiss.core.subsets import evenly_spread
from ldmiss.errors import InputError
from ldmiss.evaluation.measurement import ReferenceMetrics, measure_generation, measure_imputation
from ldmiss_pipeline.artifacts.arrays import load_arrays, save_arrays
from ldmiss_pipeline.artifacts.json_files import save_checked_json
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.artifacts.paths import CLASSIFIER, CLASSIFIER_FACTS, RAW, remove_others
from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.models.classifier import load_facts, restore_classifier
from ldmiss_pipeline.running.context import Context

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
    """What was measured of the images of one file or folder.

    Attributes:
        metrics: of each method.
        sheet: images and curves for the figures, by name.
    """

    metrics: dict[str, dict[str, float]]
    sheet: dict[str, NDArray[Any]]


class Evaluation:
    """What the images of one cell are measured with: the reference, the truth, what was observed of it.

    The images of one method are measured without those of the others, so that a cell can be put together from parts.
    """

    def __init__(self, context: Context) -> None:
        self.item, self.params = context.item, context.params
        self.train, test = (load_split(self.params.dataset.name, RAW, split) for split in ("train", "test"))
        self.classifier_facts = load_facts(CLASSIFIER_FACTS)
        classifier = restore_classifier(CLASSIFIER, context.runtime.device, sha256=self.classifier_facts["sha256"])
        layer = self.params.evaluate.fid_layer
        self.reference = ReferenceMetrics(classifier, test.images, test.labels, layer=layer, seed=self.item.root_seed)
        self.incomplete, self.observed = load_observed(self.item.observed("test"))
        wanted = self.params.impute.num_images
        num_test = len(test.images)
        self.rows = evenly_spread(num_test, num_test if wanted == "all" else wanted)

    def samples(self, path: Path) -> Measured:
        """Generated images of one method."""
        (samples,) = load_arrays(path, "images")
        sheet = {f"samples/{path.stem}": _to_uint8(samples[:SHEET_IMAGES])}
        return Measured({path.stem: measure_generation(self.reference, samples)}, sheet)

    def imputed(self, folder: Path) -> Measured:
        """Test images that one method imputed, a file an imputer."""
        measured = Measured({}, {})
        for path in image_files(folder):
            completed, rows, subset, draws = load_arrays(path, "images", "rows", "subset", "draws")
            measured.metrics[path.stem], measured.sheet[f"reliability/{path.stem}"] = measure_imputation(
                self.reference, completed, rows, subset, draws, self.observed
            )
            measured.sheet[f"imputed/{path.stem}"] = _to_uint8(completed[:SHEET_IMAGES])
        return measured

    def truth(self) -> dict[str, NDArray[Any]]:
        """What the figures show beside imputed images: the truth, and what was observed of it."""
        shown = self.rows[:SHEET_IMAGES]
        return {
            "truth": self.reference.images[shown],
            "observed_images": self.incomplete[shown],
            "observed": self.observed[shown],
        }

    def facts(self) -> dict[str, Any]:
        """Cell, classifier and settings: what does not depend on any method's images.

        An FID is larger for fewer images, so three floors stand beside it: `fid_floor` (as many real training images
        as there are test images, against the test images), `fid_floor_generated` (as many as are generated) and
        `fid_floor_imputed` (the imputed test images as they really are: what a perfect imputer would get).
        """
        item, params, reference = self.item, self.params, self.reference
        num_generated, num_train = params.sample.num_images, len(self.train.images)
        real = self.train.images[evenly_spread(num_train, min(num_generated, num_train))]
        features, _ = extract_features(reference.classifier, unit_images(real), reference.layer)
        return {
            "missing_rate": item.missing_rate, "seed": item.seed,
            "classifier": {
                **_classifier_facts(self.classifier_facts, reference.layer),
                "fid_floor_generated": reference.floor(features),
                "fid_floor_imputed": reference.floor(reference.features[self.rows]),
            },
            "run": {
                "profile": params.profile, "recipe": params.recipe, "protocol": params.protocol,
                "encoder_input": params.vae.encoder_input, "test_rate": params.missing.test_rate,
                "fill": params.missing.fill,
                "deterministic": params.compute.deterministic, "num_generated": num_generated,
                "num_imputed": len(self.rows), "num_draws": params.impute.num_draws,
                "num_draw_images": params.impute.num_draw_images, "params_sha256": params_sha256(params),
            },
        }  # fmt: skip

    def statistics(self, path: Path) -> dict[str, NDArray[np.float32]]:
        """`mu/<name>` and `sigma/<name>` of the images in a file: mean and covariance of their features."""
        (images,) = load_arrays(path, "images")
        statistics = self.reference.statistics(images)
        return {f"{kind}/{path.stem}": np.asarray(statistics[kind], np.float32) for kind in ("mu", "sigma")}


def run(context: Context) -> str:
    """Write `metrics/cells/<cell>.json`, and in `.npz` the few images and the curves that the figures show.

    `reliability/<imputer>` there: float64 (B, 3), columns predicted, actual, count; (0, 3) for fewer than three draws.
    """
    item, params = context.item, context.params
    samples = [item.samples(method) for method in params.sample.methods]
    imputed = [item.imputed(method) for method in params.impute.methods]
    remove_others([*samples, *imputed])
    evaluation = Evaluation(context)
    generation = [evaluation.samples(path) for path in samples]
    imputation = [evaluation.imputed(folder) for folder in imputed]
    save_arrays(item.sheet(), facts=context.stamp, **sheet_of([*generation, *imputation]), **evaluation.truth())
    save_checked_json(item.metrics(), cell_metrics(evaluation.facts(), generation, imputation, context.stamp))
    return f"{len(_union(generation))} generators and {len(_union(imputation))} imputers measured"


def cell_metrics(
    facts: dict[str, Any], generation: list[Measured], imputation: list[Measured], stamp: dict[str, str]
) -> dict[str, Any]:
    """The metrics of a cell: what was measured of each method, between the cell's facts."""
    return {
        "missing_rate": facts["missing_rate"], "seed": facts["seed"],
        "generation": _union(generation), "imputation": _union(imputation),
        "classifier": facts["classifier"], "run": facts["run"], "stamp": stamp,
    }  # fmt: skip


def sheet_of(measured: list[Measured]) -> dict[str, NDArray[Any]]:
    """The images and curves of several methods."""
    return {name: array for part in measured for name, array in part.sheet.items()}


def _union(measured: list[Measured]) -> dict[str, dict[str, float]]:
    return {method: metrics for part in measured for method, metrics in part.metrics.items()}


def _classifier_facts(facts: dict[str, Any], layer: str) -> dict[str, Any]:
    """The classifier's facts, with the FID floor of the layer in use."""
    others = {name: value for name, value in facts.items() if name != "fid_floors"}
    return {**others, "fid_layer": layer, "fid_floor": facts["fid_floors"][layer]}


def params_sha256(params: Params) -> str:
    """Hash of all params that a metric follows from, given the classifier: cells of one grid have the same."""
    sections = {name: _relevant(getattr(params, name).model_dump()) for name in _SECTIONS}
    return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()


def _relevant(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _relevant(part) for key, part in value.items() if key not in _LEFT_OUT}


def image_files(folder: Path) -> list[Path]:
    """The files that an `impute` item wrote, one an imputer.

    Raises:
        InputError: there are none.
    """
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise InputError(f"{folder}: no imputed images; make them with `dvc repro`")
    return files


def _to_uint8(images: NDArray[np.float16]) -> NDArray[np.uint8]:
    return np.round(images.astype(np.float32) * 255).astype(np.uint8)
