"""Print the metrics and claims of the last run and where its figures are: `python -m ldmiss_pipeline report`."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.json_files import load_checked_json, load_json
from ldmiss_pipeline.artifacts.paths import CLASSIFIER_METADATA
from ldmiss_pipeline.paper.outputs import CLAIMS, PLOTS, SUMMARY, TABLE
from ldmiss_pipeline.paper.verdicts import verdict_lines


def report(summary: dict[str, Any]) -> str:
    """The summary as two tables and a line for the classifier."""
    run = summary["run"]
    of = f"profile {run['profile']}, {run['dataset']}, {run['mechanism']}, missing rates {run['missing_rates']}"
    parts = [f"{of}, seeds {run['seeds']}; {run['num_generated']} images generated, {run['num_imputed']} completed"]
    for task in ("generation", "imputation"):
        table = pd.DataFrame(summary[task]).T.dropna(axis=1, how="all")
        parts.append(f"{task} (means over the cells of the grid)\n{table.to_string(float_format='{:.4f}'.format)}")
    parts.append("classifier  " + "  ".join(f"{name} {value:.4f}" for name, value in summary["classifier"].items()))
    return "\n\n".join(parts)


def verdicts(claims: list[dict[str, Any]]) -> str:
    """The claims that this run's grid can decide, and how many it cannot."""
    decided = [claim for claim in claims if claim["verdict"] != "not tested"]
    left = f"{len(claims) - len(decided)} of {len(claims)} claims not tested: each says in {CLAIMS} what it needs"
    return "\n".join([verdict_lines(decided), left] if decided else [left])


def classifier_line(metadata: dict[str, Any]) -> str:
    """Which classifier the FIDs are under, and what they compare with."""
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
    return 0
