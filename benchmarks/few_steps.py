"""`python -m benchmarks.few_steps`: quality of generation and guided imputation against the network evaluations.

Takes the trained score models of a finished project and samples from them with every sampler and number of steps that
is asked for, at several sampling seeds. Each row is kept in `few_steps.jsonl` as soon as it is measured: a run that was
cut goes on, and a later one with other arguments adds to it. Then the rule of `benchmarks.few_steps_rule` is applied,
and the figure and the tables of docs/performance.md are written (`benchmarks.few_steps_page`).
"""

import argparse
import hashlib
import importlib
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import few_steps_page, pages
from benchmarks.few_steps_page import GROUP, Row, load_rows
from benchmarks.page import RESULTS, ROOT
from benchmarks.setting import device_folder
from ldmiss.classifier.features import extract_features
from ldmiss.core.noise import RowNoise
from ldmiss.core.randomness import derive_seed
from ldmiss.core.subsets import evenly_spread
from ldmiss.errors import InputError
from ldmiss.evaluation.fidelity import inception_score
from ldmiss.evaluation.pixel import errors_of_draws_by_image
from ldmiss.evaluation.reference import ReferenceMetrics
from ldmiss.evaluation.uncertainty import calibration, crps, scored_pixels
from ldmiss.files.atomic import save_text
from ldmiss.imputation.imputer import Imputer
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.sampling.samplers import SAMPLERS, num_evaluations
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.artifacts.paths import CLASSIFIER, OBSERVED_TEST, RAW, Item
from ldmiss_pipeline.compute.chunk_size import rows_at_a_time
from ldmiss_pipeline.compute.device import resolve
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.registry import METHODS
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.models.classifier import restore_classifier

if TYPE_CHECKING:
    from ldmiss_pipeline.compute.device import Runtime
    from ldmiss_pipeline.config.schema import Params

STEPS = [5, 10, 20, 50, 100, 200, 500, 1000]
IDENTITY = (*GROUP, "sampler", "num_steps", "seed")
"""All of what a row is a measurement of; the rest of it is what was measured, and on what."""


@dataclass(frozen=True)
class Case:
    """One method's model in a cell, and what it takes to measure it; the current directory is the project's.

    `test`: all test images, (M, C, H, W) in [0, 1].
    """

    method: str
    item: Item
    params: "Params"
    runtime: "Runtime"
    model: ScoreModel
    reference: ReferenceMetrics
    test: NDArray[np.float32]
    fingerprint: str

    def clock(self) -> float:
        """Seconds: of the processor where it computes, for it may be shared, else of the wall."""
        return time.process_time() if self.runtime.device.type == "cpu" else time.perf_counter()

    def chunks(self, stage: str, num_rows: int) -> Iterator[Tensor]:
        """Row numbers, as many at a time as the stage would take."""
        declared, num_pixels = getattr(self.params, stage).chunk_size, self.test[0, 0].size
        size = rows_at_a_time(self.runtime.device.type, stage, declared, num_pixels, self.method)
        yield from torch.split(torch.arange(num_rows, device=self.runtime.device), size)

    def generation(self, sampler: str, num_steps: int, num_images: int, num_draws: int, seed: int) -> Row:
        """FID and IS of unconditional samples."""
        del num_draws
        start = self.clock()
        root = derive_seed(seed, "few-steps", "sample", self.method)
        images = torch.cat([
            self.model.generate(len(rows), RowNoise(root, rows), num_steps=num_steps, sampler=sampler).cpu()
            for rows in self.chunks("sample", num_images)
        ])  # fmt: skip
        seconds = self.clock() - start
        features, logits = extract_features(self.reference.classifier, images, self.reference.layer)
        found = {"fid": self.reference.floor(features), "is": inception_score(logits)}
        return {"metrics": found, "by_image": {}, "seconds_per_image": seconds / num_images}

    def imputation(self, sampler: str, num_steps: int, num_images: int, num_draws: int, seed: int) -> Row:
        """Squared error of one draw (the mean over all of them) and fair CRPS of guided imputations, by image."""
        settings = getattr(self.params, self.method).impute.guidance.model_dump()
        complete = partial(self.model.impute_by_guidance, **settings | {"sampler": sampler, "num_steps": num_steps})
        imputer = Imputer(complete, stochastic=True)
        chosen = evenly_spread(len(self.test), num_images)
        truth, known = self.test[chosen], load_observed(OBSERVED_TEST)[1][chosen]
        numbers, observed = (torch.from_numpy(array).to(self.runtime.device) for array in (chosen, known))
        x_obs = torch.from_numpy(np.where(known, truth, np.float32(0))).to(self.runtime.device)
        root = derive_seed(seed, "few-steps", "impute", self.method)
        start = self.clock()
        parts = []
        for rows in self.chunks("impute", num_images * num_draws):
            image, draw = rows // num_draws, rows % num_draws
            noise = RowNoise(root, numbers[image], draw)
            parts.append(imputer(x_obs[image], observed[image], noise).cpu().numpy())
        seconds = self.clock() - start
        draws = np.concatenate(parts).reshape(num_images, num_draws, *parts[0].shape[1:])
        found = scores(draws, truth, ~known)
        return {**found, "seconds_per_image": seconds / (num_images * num_draws)}


def scores(draws: NDArray[np.float32], truth: NDArray[np.float32], scored: NDArray[np.bool_]) -> Row:
    """`metrics` (means over images) and `by_image` of draws (N, K, ...); truth and scored (N, ...)."""
    squares, _, counts = errors_of_draws_by_image(draws, truth, scored)
    of_image = [crps(*scored_pixels(draws[[i]], truth[[i]], scored[[i]])) for i in range(len(draws))]
    by_image = {"mse": (squares / counts).round(7).tolist(), "crps": np.round(of_image, 7).tolist()}
    metrics = {name: float(np.mean(values)) for name, values in by_image.items()}
    factor = calibration(*scored_pixels(draws, truth, scored))
    return {"metrics": metrics | ({} if factor is None else {"calibration": factor}), "by_image": by_image}


def load_case(method: str, item: Item, settings: "Params", runtime: "Runtime") -> Case:
    """The model as its stage left it, in the current directory's project."""
    model = importlib.import_module(METHODS[method]).load_model(item, runtime)
    classifier = restore_classifier(CLASSIFIER, runtime.device)
    test = load_split(settings.dataset.name, RAW, "test")
    assert test.labels is not None
    images = (test.images / np.float32(255)).astype(np.float32)
    reference = ReferenceMetrics(
        classifier, images, test.labels, layer=settings.evaluate.fid_layer, seed=item.root_seed
    )  # fmt: skip
    fingerprint = hashlib.sha256(item.model(method).read_bytes()).hexdigest()[:12]
    return Case(method, item, settings, runtime, model, reference, images, fingerprint)


def identity(row: Row) -> tuple[Any, ...]:
    """What tells a row from the others."""
    return tuple(row[key] for key in IDENTITY)


def wanted(case: Case, arguments: argparse.Namespace) -> Iterator[Row]:
    """The identities of all rows that the arguments ask for."""
    for task in arguments.tasks:
        for sampler, num_steps in itertools.product(arguments.samplers, arguments.steps):
            for seed in range(arguments.num_seeds):
                yield {
                    "method": case.method, "missing_rate": case.item.missing_rate, "cell_seed": case.item.seed,
                    "model": case.fingerprint,
                    "task": task, "sampler": sampler, "num_steps": num_steps, "seed": seed,
                    "num_images": arguments.num_images if task == "generation" else arguments.num_imputed,
                    "num_draws": 1 if task == "generation" else arguments.num_draws,
                }  # fmt: skip


def measure(case: Case, arguments: argparse.Namespace, path: Path) -> None:
    """Measure every row that is wanted and not there yet, and save it at once."""
    rows = load_rows(path)
    known = {identity(row) for row in rows}
    machine = {**case.runtime.record(), "profile": case.params.profile}
    for row in wanted(case, arguments):
        if identity(row) in known:
            continue
        of_task = case.generation if row["task"] == "generation" else case.imputation
        sizes = {key: row[key] for key in ("sampler", "num_steps", "num_images", "num_draws", "seed")}
        rows.append(row | {"num_evaluations": num_evaluations(row["sampler"], row["num_steps"])} | of_task(**sizes))
        rows[-1]["machine"] = machine
        save_text(path, "".join(json.dumps(each, allow_nan=False) + "\n" for each in rows))
        shown = {name: round(value, 5) for name, value in rows[-1]["metrics"].items()}
        print(*identity(row), shown, f"{rows[-1]['seconds_per_image']:.3f} s/image", flush=True)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_steps", description=__doc__.split("\n")[0])
    parser.add_argument("--project", type=Path, default=ROOT, help="a folder in which the stages have run")
    parser.add_argument("--results", type=Path,
                        help="where to write, the docs untouched (default: benchmarks/results/<device>)")  # fmt: skip
    parser.add_argument("--missing-rate", type=float, help="of the cell (default: that of its params)")
    parser.add_argument("--seed", type=int, help="of the cell (default: that of its params)")
    parser.add_argument("--methods", nargs="+", default=["ldmiss"], choices=["ldmiss", "ddpm"], metavar="METHOD",
                        help="ldmiss, ddpm")  # fmt: skip
    parser.add_argument("--tasks", nargs="+", default=["generation", "imputation"], metavar="TASK",
                        choices=["generation", "imputation"], help="generation, imputation")  # fmt: skip
    parser.add_argument("--samplers", nargs="+", default=[*SAMPLERS], choices=SAMPLERS, metavar="SAMPLER",
                        help=", ".join(SAMPLERS))  # fmt: skip
    parser.add_argument("--steps", nargs="+", type=int, default=STEPS)
    parser.add_argument("--num-images", type=int, default=10_000, help="generated, a sampling seed")
    parser.add_argument("--num-imputed", type=int, default=500, help="test images, spread evenly")
    parser.add_argument("--num-draws", type=int, default=5, help="of each imputed image and sampling seed, at least 2")
    parser.add_argument("--num-seeds", type=int, default=3, help="sampling seeds")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Measure what is asked for and not there yet; then draw the figure and write all tables again."""
    arguments = _arguments(argv)
    chosen = arguments.results and arguments.results.resolve()
    try:
        os.chdir(arguments.project)
        settings, _ = params.load()
        runtime = resolve(settings.compute)
        results = chosen or RESULTS / device_folder(runtime)
        rate = settings.missing_rate if arguments.missing_rate is None else arguments.missing_rate
        item = Item(rate, settings.seed if arguments.seed is None else arguments.seed)
        for method in arguments.methods:
            measure(load_case(method, item, settings, runtime), arguments, results / few_steps_page.ROWS)
    except (InputError, NotADirectoryError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = load_rows(results / few_steps_page.ROWS)
    few_steps_page.draw_all(rows, results / few_steps_page.FIGURE)
    print(few_steps_page.tables(rows))
    if chosen is None:
        pages.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
