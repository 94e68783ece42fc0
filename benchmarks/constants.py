"""`python -m benchmarks.constants`: choose our constants on training images held out for it, and list where.

Fits on a part of the first 55,000 training images of MNIST, scores on the last 5,000 at 50 % missing, and never reads
the test split. Writes `benchmarks/results/constants.json`, study by study, and from it the table `docs/constants.md`.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import page
from benchmarks.constant_studies import STUDIES, Row
from benchmarks.held_out import NUM_HELD_OUT, SEED, Bench, Split
from benchmarks.setting import profile_params
from ldmiss.autoencoding.encoder_input import MIN_OBSERVED_SHARE
from ldmiss.errors import InputError
from ldmiss.files.atomic import save_text
from ldmiss_pipeline.artifacts.json_files import load_json, save_json
from ldmiss_pipeline.artifacts.paths import RAW
from ldmiss_pipeline.compute.device import resolve

if TYPE_CHECKING:
    from ldmiss_pipeline.config.schema import Params

RESULTS = page.RESULTS / "constants.json"
TABLE = page.ROOT / "docs/constants.md"
TOLERANCE = 1.05
"""A cheaper setting is chosen over the best one if its score is within this factor of the lowest."""
REFERENCE = "faithful input"
"""A row that is there to compare with and cannot be chosen."""

PAPERS = {"ldmiss.impute.guidance.weight": "1.0", "ldmiss.impute.guidance.t_max": "1.0"}
"""Constants that the paper does give a value: kept within the same factor of the lowest score."""

HEADER = """# Where our constants were chosen

Some constants are ours and not the paper's. Candidates for them were scored on the last 5,000 *training* images of
MNIST, with 50 % of the pixels missing. The models behind the scores were fitted on a part of the other 55,000
images (`benchmarks/constant_studies.py` says how much and how long). The test images were not read.

Made by `python -m benchmarks.constants` ({machine}; one thread; {seconds:.0f} s of wall time, beside whatever else
ran). `benchmarks/results/constants.json` has all digits.

How to read the table:

- **Bold** is the lowest score. `~` marks a candidate whose paired difference to it, over images, is within two
  standard errors. These know nothing of the spread over trainings: there is one seed.
- *Chosen*: the lowest mean over rates. For numbers of steps, the fewest with a score within 5 % of the lowest.
  Where the paper gives a value, that value if it is within 5 %.
- *In use*: the value in the code or in the profile `lite` today and, where it is not the chosen one, by how much
  its mean score exceeds the lowest. A value within 5 % of the lowest was kept. One is worse: `lite` takes 50
  guidance steps for LDMiss, as for the DDPM, because 100 would double the cost of its imputation.

What the table does not show:

- The evaluation classifier's dropout was chosen after two runs measured on the test images
  ([classifier.md](classifier.md)).
- The sizes of the profile `quick` were chosen by looking at its own test images.
- `ldmiss.sample` and `ddpm.sample` were chosen once with the same models, by code that is still in commit f75f1ed:
  by the FID of 1,000 samples for LDMiss (real images: 22.2) and of 400 for the DDPM (38.8). In use: 50 steps of
  Euler-Maruyama, and 15 of DPM-Solver++. For models that were trained for longer, see
  [performance.md](performance.md#fewer-steps).

  | FID | Euler-Maruyama 50, 100 | DPM-Solver++ 15, 25, 40 | Heun 12, 25 |
  |---|---|---|---|
  | LDMiss | 381.5, **363.4** | 396.7, 398.7, 400.3 | 400.2, 398.9 |
  | DDPM | 1349.6, 1338.1 | **1041.3**, 1061.2, 1073.9 | 1067.6, 1069.8 |

- All models here were trained for minutes. So what depends on the length of training is settled for such models
  only: the share that the robust encoder is shown, DiffPuter's floor, samplers for a poor score network. Images
  trained at rate 0.8 show a fifth of their pixels, so there a share of 0.2 means no re-masking at all.

| Constant | Where | Trained at rate | Score | Candidates: score (seconds) | Chosen | In use |
|---|---|---|---|---|---|---|
"""


def mean_scores(rows: list[Row]) -> dict[str, float]:
    """The mean over rates of each candidate that can be chosen, from one constant's rows."""
    scores: dict[str, list[float]] = {}
    for row in rows:
        if row["candidate"] != REFERENCE and row["score"] is not None:
            scores.setdefault(row["candidate"], []).append(row["score"])
    return {candidate: sum(values) / len(values) for candidate, values in scores.items()}


def choose(rows: list[Row]) -> str:
    """The candidate that a constant's rows speak for, by the rule in `HEADER`."""
    means = mean_scores(rows)
    lowest = min(means, key=lambda candidate: means[candidate])
    good = [candidate for candidate in means if means[candidate] <= TOLERANCE * means[lowest]]
    constant = rows[0]["constant"]
    if PAPERS.get(constant) in good:
        return PAPERS[constant]
    if not constant.endswith(".num_steps"):
        return lowest
    return min(good, key=int)


def in_use(constant: str, profile: "Params") -> tuple[str, str]:
    """Where a constant is set, and its value there today as a candidate is named."""
    if constant == "MIN_OBSERVED_SHARE":
        return f"`{constant}` in `src/ldmiss/autoencoding/encoder_input.py`", str(MIN_OBSERVED_SHARE)
    value: Any = profile
    for part in constant.split("."):
        value = getattr(value, part)
    return f"params `{constant}`", str(value)


def table(record: dict[str, Any], profile: "Params") -> str:
    """The Markdown of `docs/constants.md` from what the studies found and the composed profile `lite`."""
    studies = record["studies"].values()
    rows = [row for study in studies for row in study["rows"]]
    lines = []
    for constant in dict.fromkeys(row["constant"] for row in rows):
        own = [row for row in rows if row["constant"] == constant]
        where, used = in_use(constant, profile)
        chosen, means = choose(own), mean_scores(own)
        if used not in means:
            used += " (not a candidate)"
        elif used != chosen:
            used += f" (+{means[used] / min(means.values()) - 1:.1%})"
        for rate in dict.fromkeys(row["rate"] for row in own):
            at_rate = [row for row in own if row["rate"] == rate]
            cells = "; ".join(_cell(row, at_rate) for row in at_rate)
            measure = at_rate[0]["measure"]
            lines.append(f"| `{constant}` | {where} | {rate} | {measure} | {cells} | {chosen} | {used} |")
    made = dict.fromkeys("{machine}, {dtype}, torch {torch}, seed {seed}".format(**study) for study in studies)
    seconds = sum(study["seconds"] for study in studies)
    return HEADER.format(machine="; ".join(made), seconds=seconds) + "\n".join(lines) + "\n"


def _cell(row: Row, rows: list[Row]) -> str:
    if row["score"] is None:
        return f"{row['candidate']}: does not train"
    score = f"{row['score']:.5f}"
    if row["candidate"] == REFERENCE:
        return f"({row['candidate']}: {score})"
    lowest = min(other["score"] for other in rows if other["candidate"] != REFERENCE and other["score"] is not None)
    if row["score"] == lowest:
        score = f"**{score}**"
    elif "se_to_best" in row and row["score"] - lowest <= 2 * row["se_to_best"]:
        score = f"~{score}"
    return f"{row['candidate']}: {score} ({row['seconds']:.0f})"


def main(argv: list[str] | None = None, *, scale: int = 1, num_held_out: int = NUM_HELD_OUT) -> int:
    """Run the named studies (default all) and write both files; `scale` and `num_held_out` are for tests."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.constants", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=[*STUDIES], default=[*STUDIES], metavar="NAME",
                        help=f"run these alone and keep what is known of the others; none: only write the table again; "
                             f"of {', '.join(STUDIES)}")  # fmt: skip
    parser.add_argument("--raw", type=Path, default=RAW, help="folder of `dvc repro download` with dataset=mnist")
    arguments = parser.parse_args(argv)
    profile = profile_params("profile=lite", "compute.num_threads=1")
    try:
        record = load_json(RESULTS) if RESULTS.is_file() else {"studies": {}}
        if arguments.only:
            bench = Bench(Split.load(arguments.raw, num_held_out), profile, resolve(profile.compute), scale)
            _run(bench, arguments.only, record)
        if not record["studies"]:
            raise InputError(f"{RESULTS}: no study was run yet; run without --only")
        save_text(TABLE, table(record, profile))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(bench: Bench, names: list[str], record: dict[str, Any]) -> None:
    runtime = bench.runtime.record()
    for name in names:
        start = time.perf_counter()
        rows = []
        for row in STUDIES[name](bench):
            rows.append(row)
            print(json.dumps(row), flush=True)
        record["studies"][name] = {
            "machine": runtime["cpu"] if runtime["device"] == "cpu" else runtime["device"],
            "dtype": runtime["dtype"], "torch": runtime["torch"], "seed": SEED,
            "seconds": time.perf_counter() - start,
            "rows": rows,
        }  # fmt: skip
        save_json(RESULTS, record)


if __name__ == "__main__":
    sys.exit(main())
