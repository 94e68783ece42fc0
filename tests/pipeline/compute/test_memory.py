"""Imputing 10,000 images with the paper's networks stays under 4 GB on a CPU: all results are kept, a few computed."""

import json
from pathlib import Path

import pytest

from benchmarks.memory import CASES, LIMIT_MB, PAGE, RESULTS, Case, as_markdown, make_project, run_case
from benchmarks.page import write_table
from ldmiss_pipeline.compute.batching import CHUNK_SIZES

BRIEF = [
    *(f"{name}.train.batch_size=2" for name in ("vae", "ldmiss", "ddpm")),
    "diffputer.em.train_first.batch_size=2", "compute.dtype=float32", "compute.num_threads=1",
]  # fmt: skip
"""Training is not what is measured here; float32 takes the most memory."""
TRAINED_BY = {"train_vae", "encode_latents", "train_ldm", "train_ddpm", "train_diffputer", "train_baselines", "mask"}


@pytest.mark.slow
def test_imputing_in_the_paper_profile(tmp_path: Path) -> None:
    """Every imputer, each in a process of its own; and the record says which chunk size it was."""
    project = make_project(tmp_path)
    em = "diffputer.em.num_iterations=1"  # without an E-step; the last one wins
    peaks = {}
    for case in CASES:
        if case.arguments[0] in TRAINED_BY or (case.arguments[0] == "impute" and case.num_steps == CASES[0].num_steps):
            record = run_case(project, Case(case.what, case.arguments, case.num_steps), [*BRIEF, em])
            if case.arguments[0] == "impute":
                peaks[case.arguments[-1]] = record["peak_memory_mb"]
                assert record["chunk_size"] == CHUNK_SIZES["cpu"]["impute"]
    assert peaks.keys() == {
        "ldmiss-guidance", "ddpm-guidance", "ddpm-replacement", "diffputer-replacement",
        "autoencoder", "mean", "neighbour", "gaussian",
    }  # fmt: skip
    assert max(peaks.values()) < LIMIT_MB, peaks
    assert peaks["ddpm-guidance"] > 1000, "nothing was computed"


def test_the_page_shows_what_was_measured() -> None:
    """docs/reliability.md has the table of the last run, of these cases; training alone may exceed the limit."""
    rows = json.loads(RESULTS.read_text())["rows"]
    assert as_markdown(rows) in PAGE.read_text()
    dtypes = {row["dtype"] for row in rows}
    assert "float32" in dtypes  # the larger one; `--dtype` measures one alone
    for dtype in dtypes:
        measured = [row for row in rows if row["dtype"] == dtype]
        cases = [case for case in CASES if case.at_precision or dtype == "float32"]
        assert [(row["what"], row["num_steps"]) for row in measured] == [(case.what, case.num_steps) for case in cases]
        assert all(row["peak_memory_mb"] < LIMIT_MB for row in measured if not row["stage"].startswith("train_"))


def test_a_table_is_written_to_its_place(tmp_path: Path) -> None:
    """And nowhere else; a page without the place is refused."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a: written by b -->\nold\n<!-- a: end -->\nafter\n")
    for text in ("new", "newer"):
        write_table(page, "a", "b", text)
    assert page.read_text() == "before\n<!-- a: written by b -->\nnewer\n<!-- a: end -->\nafter\n"
    with pytest.raises(ValueError, match="no place for the table"):
        write_table(page, "a", "c", "text")
