"""Checkpoints: what is refused, when they are saved, and how a stage leaves when it is asked to."""

import os
import signal
import struct
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import ldmiss_pipeline.running.checkpoint
import ldmiss_pipeline.running.signals
from ldmiss.core.batching import in_chunks, steps_slot
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.errors import DivergenceError, InputError
from ldmiss.files.tensors import save_tensors
from ldmiss_pipeline.running.checkpoint import FileCheckpoint
from ldmiss_pipeline.running.signals import Stop, Stopped


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the checkpoint's clock shows, to be set."""
    now = [1000.0]
    monkeypatch.setattr(ldmiss_pipeline.running.checkpoint.time, "monotonic", lambda: now[0])
    return now


def test_other_work_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that lies in the folder but has another key is named and left out."""
    FileCheckpoint(tmp_path, "other").save("vae", {"step": torch.tensor(3)})
    checkpoint = FileCheckpoint(tmp_path, "mine")
    assert checkpoint.load("vae") is None
    assert "warning: checkpoint ignored" in (error := capsys.readouterr().err)
    assert "vae.safetensors: of other work" in error
    assert checkpoint.restored == []


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    """Safetensors have no checksum of their own: ours covers weights and metadata."""
    checkpoint = FileCheckpoint(tmp_path, "key")
    checkpoint.save("vae", {"weights": torch.arange(100.0)})
    path = tmp_path / "vae.safetensors"
    content = bytearray(path.read_bytes())
    (header_size,) = struct.unpack("<Q", content[:8])
    for offset in (8 + header_size + 13, content.index(b"key"), content.index(b"F32")):
        changed = bytearray(content)
        changed[offset] ^= 1
        path.write_bytes(changed)
        assert checkpoint.load("vae") is None
    path.write_bytes(content)
    assert checkpoint.load("vae") is not None


def test_saving_is_paced(tmp_path: Path, clock: list[float]) -> None:
    """Every 30 s; less often where one save is so slow that it would take more than 2 % of the time."""
    checkpoint = FileCheckpoint(tmp_path, "key")
    cost = 0.0

    def make() -> dict[str, torch.Tensor]:
        clock[0] += cost
        return {"step": torch.tensor(1)}

    def saved_after(seconds: float) -> bool:
        clock[0] += seconds
        return checkpoint.offer("vae", make)

    assert [saved_after(seconds) for seconds in (0, 29, 1, 29, 1)] == [False, False, True, False, True]
    cost = 2.0
    assert saved_after(30)
    assert [saved_after(seconds) for seconds in (30, 69, 1)] == [False, False, True]
    assert checkpoint.seconds_saving == 4.0


def test_everything_offered_is_saved_together(tmp_path: Path, clock: list[float]) -> None:
    """Work that ended before the save was due is not lost to the next part's: it is saved with it."""
    checkpoint = FileCheckpoint(tmp_path, "key")
    checkpoint.offer("m_step", lambda: {"step": torch.tensor(7)})
    clock[0] += 31
    assert checkpoint.offer("e_step", lambda: {"rows": torch.zeros(2)})
    assert {path.stem for path in tmp_path.iterdir()} == {"m_step", "e_step"}
    checkpoint.offer("m_step", lambda: {"step": torch.tensor(8)})
    checkpoint.drop("m_")
    clock[0] += 31
    checkpoint.offer("e_step", lambda: {"rows": torch.zeros(2)})
    assert {path.stem for path in tmp_path.iterdir()} == {"e_step"}


def test_interval_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 saves at every safe point; anything but a number of seconds is refused."""
    monkeypatch.setenv("LDMISS_CHECKPOINT_SECONDS", "0")
    checkpoint = FileCheckpoint(tmp_path, "key")
    assert all(checkpoint.offer("vae", lambda: {"step": torch.tensor(1)}) for _ in range(3))
    for value in ("often", "-1", "nan", "inf"):
        monkeypatch.setenv("LDMISS_CHECKPOINT_SECONDS", value)
        with pytest.raises(InputError, match="LDMISS_CHECKPOINT_SECONDS"):
            FileCheckpoint(tmp_path, "key")


def test_chunks_go_on_where_they_were_saved(tmp_path: Path, clock: list[float]) -> None:
    """Chunks since the last save are computed again, no others; a damaged group costs its own rows alone."""
    computed: list[int] = []

    def compute(rows: slice) -> torch.Tensor:
        computed.append(rows.start)
        clock[0] += 12  # three chunks to a save
        if len(computed) == fail_at:
            raise KeyboardInterrupt
        return torch.arange(rows.start, rows.stop, dtype=torch.float32)

    def run() -> torch.Tensor:
        return in_chunks(
            compute, 25, chunk_size=2, name="rows", num_at_a_time=1, checkpoint=FileCheckpoint(tmp_path, "key")
        )

    fail_at = 9
    with pytest.raises(KeyboardInterrupt):
        run()
    fail_at = 0
    assert torch.equal(run(), torch.arange(25.0))
    assert computed == [0, 2, 4, 6, 8, 10, 12, 14, 16, 12, 14, 16, 18, 20, 22, 24]

    computed.clear()
    path = tmp_path / "rows-6.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert torch.equal(run(), torch.arange(25.0))
    assert computed[:3] == [6, 8, 10]
    assert 12 not in computed


def test_a_kill_within_a_chunk_costs_an_interval(tmp_path: Path, clock: list[float]) -> None:
    """A second a step, a hundred steps a chunk: neither the chunk that is cut nor one that has ended is done again."""
    taken: list[tuple[int, int]] = []

    def compute(rows: slice) -> torch.Tensor:
        noise = RowNoise(0, torch.arange(rows.start, rows.stop))
        saved = SavedSteps(checkpoint, steps_slot("rows", rows), noise)
        first, (x,) = saved.restore(torch.zeros(rows.stop - rows.start))
        for step in range(first, 100):
            if len(taken) == kill_at:
                raise KeyboardInterrupt
            clock[0] += 1
            taken.append((rows.start, step))
            saved.offer(step + 1, x := x + 1)
        return x

    for kill_at in (205, 290, 330, -1):
        checkpoint = FileCheckpoint(tmp_path, "key")
        before, taken = set(taken), []
        kill_at -= len(before) if kill_at > 0 else 0
        with suppress(KeyboardInterrupt):
            result = in_chunks(compute, 12, chunk_size=3, name="rows", checkpoint=checkpoint)
        assert len(before.intersection(taken)) <= 30
        taken = [*before, *set(taken) - before]
    assert torch.equal(result, torch.full((12,), 100.0))
    assert sorted(taken) == [(start, step) for start in range(0, 12, 3) for step in range(100)]


def test_rows_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    """A sampler that diverged is named with its rows, and nothing of it is saved."""
    checkpoint = FileCheckpoint(tmp_path, "key")
    with pytest.raises(DivergenceError, match=r"ddpm-guidance, rows 0 to 1: values that are not finite"):
        in_chunks(
            lambda rows: torch.full((2,), torch.nan), 4, chunk_size=2, name="ddpm-guidance", checkpoint=checkpoint
        )
    assert not list(tmp_path.iterdir())


def test_sigterm_saves_at_the_next_safe_point(tmp_path: Path) -> None:
    """And leaves with the status of the signal."""
    stop = Stop()
    checkpoint = FileCheckpoint(tmp_path, "key", stop)
    with stop.installed():
        assert not checkpoint.offer("vae", lambda: {"step": torch.tensor(1)})
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped) as stopped:
            checkpoint.offer("vae", lambda: {"step": torch.tensor(2)})
    assert stopped.value.status == 143
    stored = FileCheckpoint(tmp_path, "key").load("vae")
    assert stored is not None
    assert int(stored["step"]) == 2


def test_no_safe_point_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace period, or at the second signal, the stage leaves where it stands."""
    monkeypatch.setattr(ldmiss_pipeline.running.signals, "GRACE_SECONDS", 0.05)
    with pytest.raises(Stopped) as stopped:
        busy_after(signal.SIGINT)
    assert stopped.value.status == 130
    monkeypatch.setattr(ldmiss_pipeline.running.signals, "GRACE_SECONDS", 60)
    with pytest.raises(Stopped) as stopped:
        busy_after(signal.SIGTERM, signal.SIGTERM)
    assert stopped.value.status == 143


def busy_after(*signals: signal.Signals) -> None:
    """Work without a safe point, during which the process gets the signals."""
    with Stop().installed():
        for signum in signals:
            os.kill(os.getpid(), signum)
        for _ in range(1000):
            time.sleep(0.01)


def test_handlers_are_given_back() -> None:
    """What handled the signals before does so again, and no alarm is left."""
    before = signal.getsignal(signal.SIGTERM)
    with Stop().installed():
        assert signal.getsignal(signal.SIGTERM) != before
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_facts_of_a_checkpoint_do_not_replace_its_kind(tmp_path: Path) -> None:
    """Something else under a slot's name is refused."""
    save_tensors(tmp_path / "vae.safetensors", {"a": torch.zeros(1)}, kind="vae", metadata={"key": "key"})
    assert FileCheckpoint(tmp_path, "key").load("vae") is None
