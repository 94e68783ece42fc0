"""What `make repro` must have made in the quick profile: metrics of the promised quality, figures that are pictures."""

import json
import sys
from pathlib import Path

import pandas as pd
from matplotlib.image import imread

ONE_ANSWER = {"autoencoder", "unet-regression", "mean", "neighbour", "gaussian"}
AT_LEAST = {
    "ldmiss-guidance",
    "ldmiss-posterior",
    "ddpm-guidance",
    "conditional-diffusion",
    "unet-regression",
    "gaussian",
}
UNCERTAINTY = {"crps", "coverage", "coverage_level", "calibration"}

summary = json.loads(Path("metrics/summary.json").read_text())
generation, imputation = summary["generation"], summary["imputation"]
error = {imputer: metrics["mse"] for imputer, metrics in imputation.items()}
ldmiss = generation["ldmiss"]
claims = json.loads(Path("metrics/claims.json").read_text())["claims"]
completed = {path.stem for path in Path("data/imputed").glob("*/*/*.npz")}
uncertain = {imputer for imputer, metrics in imputation.items() if set(metrics) >= UNCERTAINTY}
promises = {
    "ldmiss-guidance has a lower MSE than neighbour": error["ldmiss-guidance"] < error["neighbour"],
    "60 % of LDMiss samples have a confidence above 0.9": ldmiss["confident"] >= 0.6,
    "every digit has 3 % of the LDMiss samples": ldmiss["smallest_class"] >= 0.03,
    "every imputer was measured": AT_LEAST <= set(imputation) == completed,
    "every generator was measured": set(generation) == {"ldmiss", "ddpm", "diffputer"},
    "the uncertainty of every imputer that draws was measured": uncertain == completed - ONE_ANSWER != set(),
    "every claim has a verdict and a reason": len(claims) == 17
    and all(c["verdict"] in ("holds", "fails", "consistent", "not tested") and c["reason"] for c in claims),
    "the table has as many numbers": len(pd.read_csv("metrics/table.csv")) > 60,
    "six figures, none blank": len(figures := sorted(Path("plots").glob("*.png"))) == 6
    and all(imread(path).std() > 0.05 for path in figures),
}  # fmt: skip
for promise, kept in promises.items():
    print(f"{'ok  ' if kept else 'FAIL'} {promise}")
sys.exit(0 if all(promises.values()) else 1)
