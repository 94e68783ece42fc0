"""Chunks side by side, in threads: the same rows, and nobody waits for them on the way out."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from support.imports import ROOT

import ldmiss_pipeline.running.checkpoint
import ldmiss_pipeline.running.signals
from ldmiss.core.batching import in_chunks, steps_slot
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.files.tensors import load_tensors
from ldmiss_pipeline.running.checkpoint import FileCheckpoint
from ldmiss_pipeline.running.signals import Stop, Stopped


def test_chunks_side_by_side(tmp_path: Path) -> None:
    """As many are under way as asked for; rows come in order, and what was saved is not computed again."""
    together = threading.Barrier(2, timeout=30)
    computed: list[int] = []

    def compute(rows: slice) -> torch.Tensor:
        computed.append(rows.start)
        together.wait()
        return torch.arange(rows.start, rows.stop, dtype=torch.float32)

    def run() -> torch.Tensor:
        return in_chunks(
            compute, 23, chunk_size=4, name="rows", num_at_a_time=2, checkpoint=FileCheckpoint(tmp_path, "key")
        )

    assert torch.equal(run(), torch.arange(23.0))
    assert sorted(computed) == [0, 4, 8, 12, 16, 20]
    computed.clear()
    FileCheckpoint(tmp_path, "key").save("rows-0", {"rows": torch.arange(8.0)})
    assert torch.equal(run(), torch.arange(23.0))
    assert sorted(computed) == [8, 12, 16, 20]


def test_steps_of_chunks_side_by_side_are_saved_on_sigterm(tmp_path: Path) -> None:
    """Both stop after the step that they are at, and go on there: no step is taken twice."""
    together = threading.Barrier(2, timeout=30)
    taken: list[tuple[int, int]] = []

    def run(stop: Stop, last: int) -> torch.Tensor:
        checkpoint = FileCheckpoint(tmp_path, "key", stop)

        def compute(rows: slice) -> torch.Tensor:
            noise = RowNoise(0, torch.arange(rows.start, rows.stop))
            saved = SavedSteps(checkpoint, steps_slot("rows", rows), noise)
            first, (x,) = saved.restore(noise(torch.zeros(rows.stop - rows.start)[:, None]))
            for step in range(first, 6):
                taken.append((rows.start, step))
                x = x + noise(x)
                if step == last and together.wait() == 0:
                    os.kill(os.getpid(), signal.SIGTERM)
                    while not stop.asked:  # the main thread takes the signal
                        time.sleep(0.01)
                if step == last:
                    together.wait()
                saved.offer(step + 1, x)
            return x

        return in_chunks(compute, 8, chunk_size=4, name="rows", num_at_a_time=2, checkpoint=checkpoint)

    def num_saved(start: int) -> int:
        path = tmp_path / f"rows-{start}-steps.safetensors"
        return int(load_tensors(path, kind="checkpoint")[0]["step"]) if path.exists() else 0

    stop = Stop()
    with stop.installed(), pytest.raises(Stopped):
        run(stop, last=3)
    deadline = time.monotonic() + 30
    while [num_saved(0), num_saved(4)] != [4, 4]:  # the other thread is not waited for: it saves on its own
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert sorted(taken) == [(start, step) for start in (0, 4) for step in range(4)]
    result = run(Stop(), last=-1)
    assert sorted(taken) == [(start, step) for start in (0, 4) for step in range(6)]
    shutil.rmtree(tmp_path)
    assert torch.equal(result, run(Stop(), last=-1))


FIRST_OPERATION = """
import os, stages, threading, torch, tqdm
tqdm.tqdm.monitor_interval = 0  # no thread of its own
from ldmiss.core.batching import in_chunks, steps_slot
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.files.tensors import load_tensors
torch.set_num_threads(1)
together = threading.Barrier(2)
x, weight = torch.randn(512, 512), torch.randn(512, 512)
def compute(rows):
    together.wait()
    torch.nn.functional.linear(x, weight)
    together.wait()
    return torch.tensor([len(os.listdir("/proc/self/task"))])
print(int(in_chunks(compute, 2, chunk_size=1, name="rows", num_at_a_time=2).max()))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts the system's threads, as Linux shows them")
def test_threads_of_ours_take_the_number_of_torchs(tmp_path: Path) -> None:
    """Else a chunk whose first operation is a product of matrices would have a second thread, and other last bits."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'src'}"
    done = subprocess.run(
        [sys.executable, "-c", FIRST_OPERATION], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["3"], f"{done.stdout} {done.stderr}"  # the main one and ours


UNDER_WAY = """
import os, runpy, sys, time
import ldmiss_pipeline.running.signals, stages.impute
from ldmiss_pipeline.compute.device import Runtime
ldmiss_pipeline.running.signals.GRACE_SECONDS = 0.1
Runtime.num_at_a_time = 2
in_chunks = stages.impute.in_chunks
def compute(rows):
    os.write(1, b"under way\\n")  # in one piece: two threads do
    time.sleep(120)
def slow(real, num_rows, **more):
    return in_chunks(compute, num_rows, **more)
stages.impute.in_chunks = slow
sys.argv = ["stages", "impute", "--missing-rate", "0.5", "--seed", "42", "--method", "baselines"]
runpy.run_module("stages", run_name="__main__")
"""


def test_a_stage_leaves_though_chunks_are_under_way(project: Path, tmp_path: Path) -> None:
    """Python would wait for their threads before it ends."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    command = [sys.executable, "-c", UNDER_WAY]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["under way\n"] * 2
        process.terminate()
        try:
            assert process.wait(timeout=60) == 143
        finally:
            process.kill()


def test_leaving_waits_for_no_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where chunks take longer than there is time to leave, the stage leaves where it stands."""
    monkeypatch.setattr(ldmiss_pipeline.running.signals, "GRACE_SECONDS", 0.05)
    go_on, ended = threading.Event(), threading.Event()

    def compute(rows: slice) -> torch.Tensor:
        if rows.start == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        go_on.wait(60)
        ended.set()
        return torch.zeros(1)

    stop = Stop()
    with stop.installed(), pytest.raises(Stopped):
        in_chunks(
            compute, 2, chunk_size=1, name="rows", num_at_a_time=2, checkpoint=FileCheckpoint(tmp_path, "key", stop)
        )
    assert not ended.is_set()
    go_on.set()
