"""The rehearsal of GPU slices on a CPU: `make rehearse-slices`, some minutes.

A slice of 120 s is killed in the middle of a training, goes on on the same machine, ends, and is carried away; slices
on other machines do the rest; what is merged is, byte for byte, what one run without interruptions gives.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
from helpers_imports import ROOT

SECONDS = 120
TRAIN = {"epochs": 250}
CHANGES = {
    "grid": {"missing_rates": [0.5, 0.8]},
    "vae": {"train": TRAIN},
    "ldmiss": {"train": TRAIN},
    "ddpm": {"train": TRAIN},
    "diffputer": {"em": {"train_first": TRAIN}},
}
"""Long enough that one slice does not do all of it."""
MERGED = ("table.csv", "claims.json", *(f"figure{number}.png" for number in (1, 2, 3, 4)))


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "stages.slices", *map(str, arguments)]


def call(*arguments: object) -> str:
    """Run to the end; the last line."""
    done = subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(), check=True, stdout=subprocess.PIPE, text=True
    )
    print(f"$ slices {' '.join(map(str, arguments))}\n{done.stdout}")
    return done.stdout.splitlines()[-1]


def environment() -> dict[str, str]:
    """With a checkpoint every second, so that there is one to go on from."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "LDMISS_CHECKPOINT_SECONDS": "1"}


def kill_in_training(work: Path, *arguments: object) -> None:
    """Start a slice and kill it, unasked, once the first score network has a checkpoint."""
    with subprocess.Popen(command(*arguments), cwd=ROOT, env=environment()) as process:
        deadline = time.monotonic() + SECONDS
        while not list(work.glob("ckpt/train_ldm@*/*.safetensors")):
            assert process.poll() is None, "ended before it could be killed"
            assert time.monotonic() < deadline, "no checkpoint in time"
            time.sleep(0.05)
        process.kill()


def records(work: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (work / "runs/records.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_slices_with_a_kill_are_one_run(tmp_path: Path, raw: dict[str, Any]) -> None:
    """Equal to the byte; what was killed went on; nothing was measured, nor trained to the end, twice on a machine."""
    home = tiny.make_project(tmp_path / "home", raw, **CHANGES)
    first, start, params = tmp_path / "first", tmp_path / "start", ("--params", home / "params.yaml")
    call("prepare", *params, "--raw", home / "data/raw", "--out", start)

    on_first = ("run", start, "--seconds", SECONDS, "--work", tmp_path / "a", "--out", first)
    kill_in_training(tmp_path / "a", *on_first)
    assert "all parts are done" not in call(*on_first[:3], SECONDS // 2, *on_first[4:])
    assert any("train_ldm" in of["stage"] and of.get("restored") for of in records(tmp_path / "a"))
    assert len(list(first.iterdir())) <= 8
    assert all(path.stat().st_size <= 16 * 2**20 for path in first.iterdir())

    carried = [first]
    for number in range(6):
        call("prepare", *carried, *params, "--raw", home / "data/raw", "--out", tmp_path / f"travel-{number}")
        work, out = tmp_path / f"b-{number}", tmp_path / f"later-{number}"
        last = call("run", tmp_path / f"travel-{number}", "--exact", "--seconds", SECONDS, "--work", work, "--out", out)
        carried.append(out)
        if last == "all parts are done":
            break
    assert last == "all parts are done"
    call("merge", *carried, *params, "--out", tmp_path / "merged")
    assert call("plan", tmp_path / "merged", *params) == "6 of 6 parts are done"

    call("run", start, "--seconds", 5000, "--work", tmp_path / "whole", "--out", tmp_path / "uninterrupted")
    call("merge", tmp_path / "uninterrupted", *params, "--out", tmp_path / "expected")
    for name in MERGED:
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes(), name
    timings = pd.read_csv(tmp_path / "merged/timings.csv")
    assert len(timings[timings["ended"] & (timings["stage"] == "measure")]) == 2 * 7, "a piece was measured twice"
    assert "- none" in (tmp_path / "merged/PROVENANCE.md").read_text(), "something rests on rounded weights"
