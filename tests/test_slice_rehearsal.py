"""The rehearsal of GPU slices on a CPU, with tiny networks on 5,000 digits: `make rehearse-slices`, some minutes.

A slice of 120 s is killed in the middle of a training. A second one goes on: the same machine with its checkpoint, or a
bare one with what was carried away. What is merged must be what one run without interruption gives.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
from helpers_imports import ROOT

from stages.datasets import DATASETS, load_split
from stages.slices.__main__ import main
from stages.slices.baggage import read_parts
from stages.units import TRAINED

pytestmark = pytest.mark.slow
SECONDS = 120
SLICE = ("--seconds", SECONDS, "--later", 2 * SECONDS)
NUM_PIECES = 2 * 7
CHANGES: dict[str, Any] = {
    "grid": {"missing_rates": [0.5, 0.8]},
    "classifier": {"train": {"epochs": 1, "batch_size": 100}},
    "vae": {"train": {"epochs": 2, "batch_size": 100}},
    "ldmiss": {"train": {"epochs": 4, "batch_size": 100}},
    "ddpm": {"train": {"epochs": 1, "batch_size": 100}},
    "diffputer": {
        "em": {
            "train_first": {"epochs": 15, "batch_size": 100},
            "train_next": {"epochs": 10, "batch_size": 100},
            "e_step": {"chunk_size": 1000},
        }
    },
}
"""About 90 s of work on one core."""
KILLED = "train_ldm@0.8-42"
"""The training that is killed: by then the first part was measured and carried away."""
MERGED = ("table.csv", "claims.json", *(f"figure{number}.png" for number in (1, 2, 3, 4)))


def start_slice(*arguments: object) -> "subprocess.Popen[str]":
    """With a checkpoint every second, so that there is one to go on from."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "LDMISS_CHECKPOINT_SECONDS": "1"}
    print(f"$ python -m stages.slices {' '.join(map(str, arguments))}", flush=True)
    command = [sys.executable, "-m", "stages.slices", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def call(*arguments: object) -> str:
    """Run a slice to the end; the last line of what it prints."""
    start = time.monotonic()
    with start_slice("run", *arguments) as process:
        text = process.communicate()[0]
    print(f"{text}[{time.monotonic() - start:.0f} s]\n", flush=True)
    assert process.returncode == 0
    return text.splitlines()[-1]


def at_home(command: str, *arguments: object) -> None:
    """`prepare`, `merge` or `plan`, in this process."""
    print(f"$ python -m stages.slices {command} {' '.join(map(str, arguments))}", flush=True)
    assert main([command, *map(str, arguments)]) == 0


def run_and_kill(work: Path, *arguments: object) -> None:
    """Start a slice and kill it, unasked, once the training has a checkpoint."""
    with start_slice("run", *arguments) as process:
        deadline = time.monotonic() + SECONDS
        while not list(work.glob(f"ckpt/{KILLED}-*/*.safetensors")):
            assert process.poll() is None, "ended before it could be killed"
            assert time.monotonic() < deadline, "no checkpoint in time"
            time.sleep(0.05)
        process.kill()
        print(f"{process.communicate()[0]}[killed in {KILLED}]\n", flush=True)


@dataclass(frozen=True)
class Rehearsal:
    """A slice that was killed, beside one run without interruption.

    Attributes:
        start: the folder that travelled to the first machine.
        raw, params: what to prepare further ones with.
        machine, carried: the first machine's workspace and what it carried away, when it was killed.
        expected: what the whole run was merged to.
    """

    start: Path
    raw: Path
    params: tuple[str, Path]
    machine: Path
    carried: Path
    expected: Path


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """Both, made once."""
    folder = tmp_path_factory.mktemp("rehearsal")
    raw = folder / "raw"
    DATASETS["mnist5k"].download(raw / "mnist5k")
    digits = {split: vars(load_split("mnist5k", raw, split)) for split in ("train", "test")}
    home = tiny.make_project(folder / "home", digits, **CHANGES)
    made = Rehearsal(
        folder / "start",
        raw,
        ("--params", home / "params.yaml"),
        folder / "first",
        folder / "carried",
        folder / "expected",
    )
    at_home("prepare", *made.params, "--raw", raw, "--out", made.start)
    call(made.start, "--seconds", 5000, "--work", folder / "whole", "--out", folder / "uninterrupted")
    at_home("merge", folder / "uninterrupted", *made.params, "--out", made.expected)
    run_and_kill(made.machine, made.start, *SLICE, "--work", made.machine, "--out", made.carried)
    return made


def go_on(rehearsal: Rehearsal, folder: Path, *, bare: bool, options: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """Slices until all is done, a second and, on a slow machine, further ones: workspace, what was carried away."""
    carried, start, work = [rehearsal.carried], rehearsal.start, folder / "first"
    if not bare:
        shutil.copytree(rehearsal.machine, work, symlinks=True)
    for number in range(2, 6):
        if bare:
            work, start = folder / f"machine-{number}", folder / f"travel-{number}"
            at_home("prepare", *carried, *rehearsal.params, "--raw", rehearsal.raw, "--out", start)
        out = folder / f"carried-{number}"
        last = call(start, *options, *SLICE, "--work", work, "--out", out)
        carried.append(out)
        yield work, out
        if last == "all parts are done":
            return
    pytest.fail("not done after five slices")


@pytest.mark.parametrize(
    ("bare", "options", "trained_twice"),
    [(False, (), set()), (True, ("--exact",), {"train_vae@0.8-42"}), (True, (), set())],
    ids=["the same machine", "a bare machine", "a bare machine, with rounded weights"],
)
def test_two_slices_with_a_kill_are_one_run(
    rehearsal: Rehearsal, tmp_path: Path, bare: bool, options: tuple[str, ...], trained_twice: set[str]
) -> None:
    """Equal to the byte, but for what rests on rounded weights; nothing is measured twice, nor trained in vain."""
    slices = list(go_on(rehearsal, tmp_path, bare=bare, options=options))
    merged = tmp_path / "merged"
    at_home("merge", rehearsal.carried, *(out for _, out in slices), *rehearsal.params, "--out", merged)
    for _, out in slices:
        check_size(out)

    ended = pd.read_csv(merged / "timings.csv").query("ended")
    assert len(ended[ended["stage"] == "measure"]) == len(pieces(merged)) == NUM_PIECES
    trained = ended[ended["stage"].isin(TRAINED)]
    labels = trained["stage"] + "@" + trained["item"]
    twice = set(labels[labels.duplicated()])
    if "--exact" not in options or len(slices) == 1:  # each further machine starts its trainings anew
        assert twice == trained_twice
    assert not twice & {"train_vae@0.5-42", "train_ldm@0.5-42"}, "their part had been measured"
    records = [
        json.loads(line) for work in {work for work, _ in slices} for line in (work / "runs/records.jsonl").open()
    ]
    restored = [of["restored"] for of in records if f"{of['stage']}@{of['item']}" == KILLED]
    assert restored == [[] if bare else ["ldmiss"]], "goes on from its checkpoint where there is one"

    if rounded := {name for name, (_, weights) in pieces(merged).items() if weights}:
        assert bare
        assert not options
        assert "sample@0.8-42-ldmiss" in rounded
        assert "- 0.8-42-ldmiss (generation)" in (merged / "PROVENANCE.md").read_text()
        exact = set(pieces(merged)) - rounded
        assert all(pieces(merged)[name] == pieces(rehearsal.expected)[name] for name in exact)
    else:
        assert not bare or options
        for name in MERGED:
            assert (merged / name).read_bytes() == (rehearsal.expected / name).read_bytes(), name


def check_size(carried: Path) -> None:
    """What may be carried away: 8 files of 16 MiB."""
    files = list(carried.iterdir())
    assert len(files) <= 8
    assert all(path.stat().st_size <= 16 * 2**20 for path in files)


def pieces(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Metrics, and the rounded weights that they rest on, of each piece in a merged folder."""
    contents = {
        Path(name).stem: of[0] for name, of in read_parts([folder], "results").items() if name.endswith(".json")
    }
    read = {name: json.loads(content) for name, content in contents.items()}
    return {name: (piece["metrics"], piece["origin"]["rounded"]) for name, piece in read.items()}
