"""Published errors on the same measure, beside ours: missing-pixel RMSE on MNIST, half of the pixels missing at random.

The numbers are in `published.csv` beside this file. Its columns: rmse, on the missing pixels, in [0, 1] units (EMFlow
paper, Table 2, which re-ran the other methods); accuracy on the imputed digits, of a classifier trained on complete
ones (Table 3; a LeNet, not ours; empty where not given); images, of the test set; source.

Like for like only where a run uses the canonical MNIST and masks half of the pixels at random in training and in test:
the published methods were trained and tested at one and the same rate, on 60,000 and 10,000 digits.
"""

import math
from dataclasses import dataclass
from importlib.resources import files

import pandas as pd

from ldmiss_pipeline.paper.estimates import MissingEstimate, Results
from ldmiss_pipeline.paper.scope import outside_the_paper
from ldmiss_pipeline.paper.table_check import check_table

RATE = 0.5
DATASET = "mnist"
_COLUMNS = ["method", "statistic", "rmse", "mse", "accuracy", "num_seeds", "images", "source"]


def load_published() -> pd.DataFrame:
    """The published numbers, in the file's order, with the columns of `Comparison.table`; mse is the square of rmse."""
    with (files("ldmiss_pipeline.paper") / "published.csv").open() as file:
        published = pd.read_csv(file, dtype={"images": str})
    return published.assign(statistic="as published", mse=published["rmse"] ** 2, num_seeds=0)[_COLUMNS]


@dataclass(frozen=True)
class Comparison:
    """Ours beside the published numbers.

    Attributes:
        table: method, statistic ("as published", "one draw", "mean of draws"), rmse, mse, accuracy (NaN where there is
            none), num_seeds (0 for published), images (of the test set), source; best RMSE first. None where nothing is
            comparable.
        reason: why there is no table; empty where there is one.
    """

    table: pd.DataFrame | None
    reason: str

    @property
    def mse(self) -> dict[str, float]:
        """Published method -> MSE, for Figure 3; empty where nothing is comparable."""
        if self.table is None:
            return {}
        return dict(load_published()[["method", "mse"]].itertuples(index=False))


def compare_published(table: pd.DataFrame) -> Comparison:
    """Our imputers at training and test rate 0.5 beside the published methods.

    Ours twice: `mse` (one draw, all test images) and `mse_mean` (mean of K draws, on the subset of images that has
    them); for imputers without draws the two differ by the images only. RMSE is the root of the MSE's mean over seeds.

    Args:
        table: tidy, as for `ldmiss_pipeline.paper.verdicts.claims_document`.

    Raises:
        InputError: as `check_table`.
    """
    results = check_table(table)
    if reason := _not_comparable(results):
        return Comparison(None, reason)
    rows = [*load_published().itertuples(index=False, name=None), *_own_rows(results)]
    frame = pd.DataFrame(rows, columns=_COLUMNS).astype({"accuracy": float})
    return Comparison(frame.sort_values("rmse", kind="stable", ignore_index=True), "")


def _not_comparable(results: Results) -> str:
    if (dataset := results.metadata["dataset"]) != DATASET:
        return f"the data set is {dataset}; published numbers are for {DATASET}"
    if reason := outside_the_paper(results.metadata):
        return reason
    if (test_rate := results.metadata.get("test_rate", "not recorded")) != str(RATE):
        return f"the test missing rate is {test_rate}; published numbers are for {RATE:g}"
    if RATE not in results.seeds:
        return f"no cell at training missing rate {RATE:g}"
    return ""


def _own_rows(results: Results) -> list[tuple[str, str, float, float, float | None, int, str, str]]:
    rows = []
    for method in sorted({method for task, method, _ in results.values if task == "imputation"}):
        for metric, statistic, setting in (
            ("mse", "one draw", "num_imputed"), ("mse_mean", "mean of draws", "num_draw_images")
        ):  # fmt: skip
            images = results.metadata.get(setting, "not recorded")
            try:
                error = results.estimate("imputation", method, metric, RATE)
            except MissingEstimate:
                continue  # a table of a run without this imputer or metric at 0.5: there is no row to show
            try:
                accuracy = results.estimate("imputation", method, "accuracy", RATE).mean if metric == "mse" else None
            except MissingEstimate:
                accuracy = None
            rows.append(
                (method, statistic, math.sqrt(error.mean), error.mean, accuracy, error.num_seeds, images, "this run")
            )
    return rows


def published_markdown(comparison: Comparison) -> str:
    """The comparison as a table in Markdown; the reason, in a line, where there is none."""
    if comparison.table is None:
        return f"No comparison with published numbers: {comparison.reason}.\n"
    lines = ["| method | statistic | test images | RMSE | MSE | accuracy | source |", "|---|---|---|---|---|---|---|"]
    for row in comparison.table.to_dict("records"):
        accuracy = "" if math.isnan(row["accuracy"]) else f"{row['accuracy']:.4f}"
        seeds = f", {row['num_seeds']} seed{'s' * (row['num_seeds'] > 1)}" if row["num_seeds"] else ""
        lines.append(
            f"| {row['method']} | {row['statistic']} | {row['images']} | {row['rmse']:.4f} | {row['mse']:.5f} | "
            f"{accuracy} | {row['source']}{seeds} |"
        )
    return "\n".join(lines) + "\n"
