"""Is the error that the pipeline estimates for a person's own images the real one? `python -m benchmarks.own_images`.

Digits of mnist5k are given to `dataset=own` as 8-bit images with holes, by one mechanism at a time; the truth stays
here. The error of what is delivered, at the pixels that are missing, is then compared with the estimate, which
knows only held-out pixels. A run of the pipeline per mechanism, in a clone of the last commit.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.page import ROOT
from ldmiss.core.randomness import numpy_generator
from ldmiss.evaluation.uncertainty import calibration, crps, scored_pixels
from ldmiss.missingness.mechanisms import draw_observed
from ldmiss_pipeline.artifacts.arrays import load_arrays
from ldmiss_pipeline.datasets.registry import DATASETS

MECHANISMS = {"mcar": 0.5, "block": 0.3, "mnar": 0.5}
"""Of the holes, each with its rate."""
NUM_IMAGES = 600
CELL = "0.0-42"


def main() -> int:
    """Run, compare, print a table; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_images", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the images and a clone for each mechanism go")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="of the params, as `dvc exp run -S` takes them"
    )
    args = parser.parse_args()
    truth = _digits(args.folder.resolve())
    columns = (
        "holes", "held out by", "imputer", "estimate: RMSE", "real: RMSE", "estimate: CRPS", "real: CRPS",
        "calibration, both",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    for mechanism, rate in MECHANISMS.items():
        observed = draw_observed(mechanism, truth, rate, numpy_generator(0, "own images", mechanism))
        clone = args.folder.resolve() / mechanism
        clone.mkdir(parents=True)
        np.savez_compressed(clone / "images.npz", images=truth[:, 0], mask=observed[:, 0])
        project = _run(clone, args.overrides)
        for path in sorted((project / f"data/completed/{CELL}").rglob("*.npz")):
            print(_compared(project, path, mechanism, truth, ~observed), flush=True)
    return 0


def _digits(folder: Path) -> np.ndarray:
    """uint8 (N, 1, 28, 28)."""
    download = DATASETS["mnist5k"].download
    assert download is not None
    download(folder / "mnist5k")
    return DATASETS["mnist5k"].load(folder / "mnist5k", "train").images[:NUM_IMAGES]


def _run(folder: Path, overrides: list[str]) -> Path:
    """The pipeline on `images.npz` of the folder; the clone in which it ran."""
    clone = folder / "clone"
    settings = ["dataset=own", f"dataset.path={folder / 'images.npz'}", "dataset.mask=observed", *overrides]
    environment = {**os.environ, "PYTHONPATH": str(clone / "src")}
    for command in (
        ["git", "clone", "--quiet", str(ROOT), str(clone)],
        [sys.executable, "-m", "ldmiss_pipeline", "compose", *settings],
        [sys.executable, "-m", "ldmiss_pipeline", "repro"],
    ):
        cwd = folder if command[0] == "git" else clone
        subprocess.run(command, cwd=cwd, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return clone


def _compared(clone: Path, path: Path, mechanism: str, truth: np.ndarray, missing: np.ndarray) -> str:
    """A row of the table, of the completions in one file, of an imputer whose draws differ."""
    summary = json.loads((clone / "metrics/summary.json").read_text())
    cell = json.loads((clone / f"metrics/cells/{CELL}.json").read_text())
    estimate = cell["imputation"][path.stem]
    images, drawn = load_arrays(path, "images", "draws")
    completed, draws = images[:, None], drawn[:, :, None]
    squares = (completed.astype(float) - truth) ** 2
    of_image = [squares[i][missing[i]].mean() for i in range(len(truth)) if missing[i].any()]
    rmse = np.sqrt(squares[missing].mean())
    rmse_se = np.std(of_image) / np.sqrt(len(of_image)) / (2 * rmse)
    pixels = scored_pixels(draws, truth, missing)
    return (
        f"| {mechanism} | {summary['run']['test_mechanism']} | {path.stem} "
        f"| {estimate['rmse_mean']:.2f} ± {estimate['rmse_mean_se']:.2f} | {rmse:.2f} ± {rmse_se:.2f} "
        f"| {estimate['crps']:.2f} | {crps(*pixels):.2f} | {estimate['calibration']:.2f}, {calibration(*pixels):.2f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
