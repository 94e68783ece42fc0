"""Print the metrics and claims of the last run and where its figures are: `python -m ldmiss_pipeline report`."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.json_files import load_checked_json, load_json
from ldmiss_pipeline.artifacts.paths import CLASSIFIER_METADATA, COMPLETED
from ldmiss_pipeline.paper.outputs import CLAIMS, PLOTS, SUMMARY, TABLE
from ldmiss_pipeline.paper.verdicts import verdict_lines


def report(summary: dict[str, Any]) -> str:
    """The summary as two tables and a line for the classifier; without one there is only the imputation's."""
    run = summary["run"]
    of = f"profile {run['profile']}, {run['dataset']}, {run['mechanism']}, missing rates {run['missing_rates']}"
    parts = [f"{of}, seeds {run['seeds']}; {run['num_generated']} images generated, {run['num_imputed']} completed"]
    held_out = run.get("units") == "data"
    what = "means over the cells of the grid" + held_out * "; errors of held-out pixels, in the units of the data"
    number = ("{:.4g}" if held_out else "{:.4f}").format
    for task in ("generation", "imputation"):
        if summary[task]:
            table = pd.DataFrame(summary[task]).T.dropna(axis=1, how="all")
            parts.append(f"{task} ({what})\n{table.to_string(float_format=number)}")
    if summary["classifier"]:
        parts.append("classifier  " + "  ".join(f"{name} {value:.4f}" for name, value in summary["classifier"].items()))
    return "\n\n".join(parts)


def held_out_errors(run: dict[str, Any], table: pd.DataFrame) -> str:
    """What to expect of a person's completed images: the error of the mean of the draws, and how it was found."""
    of = table[(table["task"] == "imputation") & table["metric"].isin(["rmse_mean", "rmse_mean_se"])]
    errors = of.astype({"value": float}).pivot_table(index="method", columns="metric", values="value", sort=False)
    lines = [
        f"{method:24}{row['rmse_mean']:.4g}" + (f" ± {row['rmse_mean_se']:.2g}" if "rmse_mean_se" in row else "")
        for method, row in errors.iterrows()
    ]
    chosen = f"{100 * float(run['test_rate']):.0f} % of the known pixels of {run['num_imputed']} images"
    return "\n".join([
        f"expected error (RMSE, in the units of the data) of the completed images; {chosen} were held out for it, "
        f"by mechanism {run['test_mechanism']} (docs/own-images.md)", *lines,
    ])  # fmt: skip


def verdicts(claims: list[dict[str, Any]]) -> str:
    """The claims that this run's grid can decide, and how many it cannot."""
    if all(claim["verdict"] == "not applicable" for claim in claims):
        return verdict_lines(claims)
    decided = [claim for claim in claims if claim["verdict"] != "not tested"]
    left = f"{len(claims) - len(decided)} of {len(claims)} claims not tested: each says in {CLAIMS} what it needs"
    return "\n".join([verdict_lines(decided), left] if decided else [left])


def classifier_line(metadata: dict[str, Any]) -> str:
    """Which classifier the FIDs are under, and what they compare with."""
    if metadata["source"] == "none":
        return "no classifier, for the images have no labels: there is no FID, IS or accuracy"
    if metadata["source"] == "trained":
        return f"classifier {metadata['sha256'][:12]} is this run's own: its FIDs compare with no other run's"
    return f"classifier {metadata['sha256'][:12]} is the committed one: FIDs compare between all runs under it"


def main(arguments: Sequence[str]) -> int:
    """Print the report; the exit status."""
    argparse.ArgumentParser(prog="python -m ldmiss_pipeline report", description=__doc__).parse_args(arguments)
    try:
        summary, classifier = load_json(SUMMARY), load_checked_json(CLASSIFIER_METADATA)
        claims = load_json(CLAIMS)["claims"]  # all is read before anything is printed: the summary alone is in git
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{report(summary)}\n{classifier_line(classifier)}")
    print(f"\nthe paper's claims at this run's size\n{verdicts(claims)}")
    print(f"\nevery number of every cell: {TABLE}\nfigures: {', '.join(map(str, sorted(PLOTS.glob('*.png'))))}")
    if summary["run"].get("units") == "data":
        print(f"\n{held_out_errors(summary['run'], pd.read_csv(TABLE))}")
        rates, seeds = (summary["run"][name].split(", ") for name in ("missing_rates", "seeds"))
        cells = [f"{rate}-{seed}" for rate in rates for seed in seeds]
        completed = [path for cell in cells for path in sorted((COMPLETED / cell).glob("*/*.npz"))]
        print(f"your images, completed, each with a sheet (.png) beside it: {', '.join(map(str, completed))}")
    return 0
