"""Judge the paper's claims on the table of a run: `python -m ldmiss_pipeline claims TABLE ...`.

Several tables are merged: cells of one grid that ran in several places. They must come from the same classifier, data
set and settings, and share no cell. `--tuned` and `--robust` name the table of a second run, for the questions that
compare two. Not a stage: the `plot` stage judges its own table.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.json_files import save_json
from ldmiss_pipeline.paper.outputs import CLAIMS, TABLE
from ldmiss_pipeline.paper.published import compare_published, published_markdown
from ldmiss_pipeline.paper.table_check import check_table
from ldmiss_pipeline.paper.verdicts import claims_document, claims_markdown, verdict_lines

_EARLIER_NAMES = {"recipe": "learning_rates", "protocol": "inference"}
"""Settings of a run under the names that committed tables have them by."""


def main(arguments: Sequence[str]) -> int:
    """Judge and print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ldmiss_pipeline claims", description=__doc__.split("\n")[0])
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE", help=f"a run's {TABLE}")
    parser.add_argument("--tuned", type=Path, metavar="TABLE", help="the same run with learning_rates=tuned")
    parser.add_argument("--robust", type=Path, metavar="TABLE", help="the same run with vae.encoder_input=robust")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"write the verdicts as JSON, as {CLAIMS}")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown, with published numbers")
    args = parser.parse_args(arguments)
    variants = {"tuned": args.tuned, "robust": args.robust}
    try:
        table = merge(args.tables)
        document = claims_document(table, {name: read_table(path) for name, path in variants.items() if path})
        if args.out:
            save_json(args.out, document)
    except InputError as error:
        print(f"error: claims: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: claims: {error.filename or args.out}: {error.strerror}", file=sys.stderr)
        return 1
    if args.markdown:
        print(f"{claims_markdown(document['claims'])}\n{published_markdown(compare_published(table))}", end="")
    else:
        print(verdict_lines(document["claims"]))
    return 0


def read_table(path: Path) -> pd.DataFrame:
    """A tidy table; values stay texts (some are: hashes), and no seed goes through a float.

    Raises:
        InputError: missing file, or no such table in it; the message begins with the path.
    """
    if not path.is_file():
        raise InputError(f"{path}: missing file; make it with `dvc repro`, which writes {TABLE}")
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(("seed", "task", "method", "metric", "value"), str))
        if {"task", "metric"} <= set(table):
            table["metric"] = table["metric"].mask(table["task"] == "run", table["metric"].replace(_EARLIER_NAMES))
        check_table(table)
        table["seed"] = table["seed"].map(int)
    except (ValueError, pd.errors.ParserError) as error:  # also what is not UTF-8, and InputError
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    return table


def merge(paths: list[Path]) -> pd.DataFrame:
    """The cells of several tables in one.

    Raises:
        InputError: as `read_table`; two tables with the same cell; classifiers, data sets or settings that differ.
    """
    tables = {path: read_table(path) for path in dict.fromkeys(paths)}
    if len(tables) < len(paths):
        raise InputError(f"{next(path for path in paths if paths.count(path) > 1)}: named twice; name each table once")
    owner: dict[tuple[float, int], Path] = {}
    for path, table in tables.items():
        for rate, seed in table[["missing_rate", "seed"]].drop_duplicates().itertuples(index=False):
            if (rate, seed) in owner:
                raise InputError(
                    f"{path}: has missing_rate {rate:g}, seed {seed}, as {owner[(rate, seed)]} has; "
                    "each cell may come from one table"
                )
            owner[(rate, seed)] = path
    merged = pd.concat(tables.values(), ignore_index=True)
    check_table(merged)
    return merged
