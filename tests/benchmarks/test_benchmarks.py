"""`make bench`: every row builds and runs; ratios, operations and reports are what they say; peers may be missing."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import bench_world

from benchmarks import few_steps_page, pages, report, run, scaling_report, table, timing
from benchmarks.page import write_table
from benchmarks.table import ROWS, Row
from benchmarks.timing import Case, Comparison, Timed, alternate, count_flop, measure

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time that passes only where a test says so."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


BLOCKS = {
    "speed": "make bench", "bench": "make bench",
    "scaling": scaling_report.COMMAND, "few-steps": few_steps_page.COMMAND,
}  # fmt: skip


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tiny setting, and a folder of its own for results and the page."""
    page = tmp_path / "performance.md"
    page.write_text("".join(f"<!-- {name}: written by {by} -->\n<!-- {name}: end -->\n" for name, by in BLOCKS.items()))
    monkeypatch.setattr(run, "setting_of", lambda profile, **options: bench_world.setting())
    for module in (report, pages, few_steps_page):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(pages, "PAGE", page)
    return tmp_path / "cpu"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_builds_and_runs(row: Row) -> None:
    """Each thing that is timed runs once, and comparisons name things that are timed."""
    with torch.compiler.set_stance("force_eager"):
        case = row.make(bench_world.setting())
        for timed in case.timed.values():
            timed.run()
            assert timed.num_units >= 1
    assert case.comparisons
    assert {name for one in case.comparisons for name in (one.ours, one.peer)} <= case.timed.keys()
    assert all(isinstance(remark, str) for remark in case.remarks())


def test_names_of_rows_are_unique() -> None:
    """`--only` and the results go by name."""
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_ratio_is_per_unit_and_the_median_over_rounds(clock: Callable[[float], None]) -> None:
    """Ours does 4 units in 2 s, the peer 2 units in 3 s, then 9 s, then 4 s: 1.5 / 0.5 = 3, 9, 4, of which 4."""
    peer_seconds = itertools.chain([3.0] * 3, [3.0, 9.0, 4.0])  # operations, warm-up and number of repeats come first
    case = Case(
        {"ours": Timed(lambda: clock(2.0), 4), "peer": Timed(lambda: clock(next(peer_seconds)), 2)},
        [Comparison("ours against peer", "ours", "peer", target=3.5)],
        "image",
    )
    measured = measure(case, rounds=3, device=CPU)
    (comparison,) = measured["comparisons"]
    assert (comparison["ratio"], comparison["range"], comparison["target"]) == (4.0, [3.0, 9.0], 3.5)
    assert measured["timed"]["ours"]["units_per_second"] == 2.0
    json.dumps(measured, allow_nan=False)


def test_runs_take_turns_and_short_ones_are_repeated(clock: Callable[[float], None]) -> None:
    """Each round starts with another one; 20 ms are run three times to fill 50 ms."""
    order: list[str] = []

    def runner(name: str, seconds: float) -> Callable[[], object]:
        return lambda: (order.append(name), clock(seconds))

    times = alternate({"a": runner("a", 0.02), "b": runner("b", 1.0)}, 2, CPU)
    assert "".join(order) == "aa" + "bb" + "aaab" + "baaa"
    assert times == {"a": pytest.approx([0.02, 0.02]), "b": pytest.approx([1.0, 1.0])}


def test_operations_and_share_of_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of 8 x 4 with 4 x 2 is 128 operations, backward as much again twice; the limit against itself is 1."""
    a, b = torch.ones(8, 4, requires_grad=True), torch.ones(4, 2, requires_grad=True)
    assert count_flop(lambda: a @ b) == 2 * 8 * 4 * 2
    assert count_flop(lambda: (a @ b).sum().backward()) == 3 * 2 * 8 * 4 * 2
    big = torch.ones(64, 64)
    monkeypatch.setattr(timing, "matrix_product", lambda dtype, device: (lambda: big @ big, 2 * 64**3))
    case = Case({"product": Timed(lambda: big @ big, 1)}, [], "product")
    measured = measure(case, rounds=9, device=CPU)["timed"]["product"]
    assert measured["flop_per_unit"] == 2 * 64**3
    assert measured["share_of_limit"] == pytest.approx(1, rel=0.5)


def test_a_missing_peer_is_named_and_the_other_rows_run(
    monkeypatch: pytest.MonkeyPatch, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without diffusers the row says how to get it; results of rows that were not asked for stay."""
    peer, own = "rows_training.vae", "rows_training.deterministic"
    rows = [Row("peer", "With a peer", peer, "diffusers"), Row("own", "Own", own)]
    monkeypatch.setattr(run, "ROWS", rows)
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    assert run.main(["--rounds", "2"]) == 0
    printed = capsys.readouterr().out
    assert "diffusers is not installed: `pip install diffusers`" in printed
    record = json.loads((results / "bench.json").read_text())
    assert record["rows"]["own"]["comparisons"][0]["ratio"] > 0
    assert run.main(["--only", "peer"]) == 0
    assert json.loads((results / "bench.json").read_text())["rows"]["own"] == record["rows"]["own"]
    text = pages.PAGE.read_text()
    assert "| Own | its price |" in text
    assert "With a peer: left out: diffusers is not installed" in text


def test_conditions_that_differ_are_said(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that was measured with other threads, or beside other work, says so; one that was not says nothing."""
    rows = [Row("a", "A", "rows_training.deterministic"), Row("b", "B", "rows_training.deterministic")]
    monkeypatch.setattr(run, "ROWS", rows)
    run.main(["--rounds", "1"])
    record = json.loads((results / "bench.json").read_text())
    record["rows"]["a"]["machine"] = {**record["machine"], "num_threads": 7}
    record["rows"]["a"]["load_before"], record["rows"]["b"]["load_before"] = 50.0, 0.0
    text = report.markdown(record)
    assert "- A: measured with num_threads 7" in text
    assert "- A: the load before it was 50.0" in text
    assert "- B:" not in text


def test_the_short_table_has_the_ratios_by_kind(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for a row with a peer, none for a row without."""
    peer = Row("e-step", "E-step", "rows_diffputer.e_step")
    monkeypatch.setattr(run, "ROWS", [peer, Row("own", "Own", "rows_training.deterministic")])
    run.main(["--rounds", "1"])
    comparisons = json.loads((results / "bench.json").read_text())["rows"]["e-step"]["comparisons"]
    ratios = {one["kind"]: f"{one['ratio']:.2f}" for one in comparisons}
    text = report.short_table(json.loads((results / "bench.json").read_text()))
    assert f"| E-step | {ratios['float32']} | {ratios['native']} | {ratios['as run']} |" in text
    assert "Own" not in text


def test_the_pages_show_the_committed_results(tmp_path: Path) -> None:
    """docs/performance.md is as `benchmarks/results/` has it: to write it again changes nothing."""
    copy = tmp_path / "page.md"
    for name, command, text in pages.blocks():
        copy.write_text(pages.PAGE.read_text())
        write_table(copy, name, command, text)
        assert copy.read_text() == pages.PAGE.read_text(), f"{name}: not of the committed results"


def test_a_table_is_written_to_its_place(tmp_path: Path) -> None:
    """And nowhere else; a page without the place is refused."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a: written by b -->\nold\n<!-- a: end -->\nafter\n")
    for text in ("new", "newer"):
        write_table(page, "a", "b", text)
    assert page.read_text() == "before\n<!-- a: written by b -->\nnewer\n<!-- a: end -->\nafter\n"
    with pytest.raises(ValueError, match="no place for the table"):
        write_table(page, "a", "c", "text")


def test_a_row_that_fails_does_not_take_the_others_along(
    monkeypatch: pytest.MonkeyPatch, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its error is in the results, the rows after it are measured, and the exit status is 1."""

    def broken(setting: Any) -> Case:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("benchmarks.rows_training.vae", broken)
    rows = [Row("a", "A", "rows_training.vae"), Row("b", "B", "rows_training.deterministic")]
    monkeypatch.setattr(run, "ROWS", rows)
    assert run.main(["--rounds", "1"]) == 1
    record = json.loads((results / "bench.json").read_text())
    assert record["rows"]["a"]["error"] == "RuntimeError: no such thing"
    assert "comparisons" in record["rows"]["b"]
    assert "no such thing" in capsys.readouterr().out


def test_bad_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown row, with the known ones named; a device that is not there."""
    with pytest.raises(SystemExit):
        run.main(["--only", "nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert run.main(["--device", "cuda"]) == 1
        assert "cuda was asked for, but there is none" in capsys.readouterr().err
