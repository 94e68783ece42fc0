"""The engine slurm without a scheduler: what it asks for, what it refuses, what fails loudly."""

import os
from pathlib import Path

import pytest

from ldmiss.errors import InputError
from ldmiss_pipeline.grid.engines.interface import Job, Resources
from ldmiss_pipeline.grid.engines.slurm import Slurm, shards


@pytest.mark.parametrize(
    ("gpus", "listed", "number"),
    [
        (0.5, "gpu:1,shard:2", 1),
        (0.25, "gpu:h100:8(S:0-1),shard:h100:32(S:0,1)\n(null)", 1),
        (0.75, "(null)\ngpu:4\nshard:a100:16,gpu:a100:4(IDX:0-3)", 3),
        (0.5, "gpu:1g.5gb:2,gpu:3g.20gb:2,shard:8", 1),
        (0.5, "gpu:1,shard:4\ngpu:2,shard:8,license:5", 2),
        (0.33, "gpu:1,shard:3", 1),
    ],
)
def test_a_fraction_of_a_gpu_is_a_number_of_shards(gpus: float, listed: str, number: int) -> None:
    """As many as nodes divide a GPU into, whatever the type; nodes without shards do not count."""
    assert shards(gpus, listed.splitlines()) == number


@pytest.mark.parametrize(
    ("gpus", "listed", "problem"),
    [
        (0.3, "gpu:1,shard:4", r"0\.3; a GPU has 4 shards here; allowed: 0\.25, 0\.5, 0\.75, 1, "),
        (0.001, "gpu:1,shard:4", r"0\.001; a GPU has 4 shards"),
        (0.5, "gpu:8(S:0-1)\n(null)", r"0\.5; no node here shares GPUs \(`shard` in Slurm's gres\.conf\)"),
        (0.5, "gpu:1,shard:2\ngpu:1,shard:4", r"a GPU has 2 or 4 shards, by the node; name a --slurm-partition"),
        (1.5, "gpu:1,shard:2", r"1\.5; allowed are whole numbers and fractions of one GPU"),
    ],
)
def test_a_fraction_that_slurm_cannot_give(gpus: float, listed: str, problem: str) -> None:
    with pytest.raises(InputError, match=f"--gpus-per-cell: .*{problem}"):
        shards(gpus, listed.splitlines())


@pytest.fixture
def slurm_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the programs of Slurm: sinfo knows a partition, and sbatch keeps what it is given."""
    programs = {
        "sinfo": 'test ! -e down && echo "cpu* (null)" && echo "gpu gpu:h100:2,shard:h100:8"',
        "sbatch": f"cp $1 {tmp_path}/given; echo Submitted batch job 7", "squeue": "test ! -e down",
        "scancel": f'test ! -e down && echo "$*" >> {tmp_path}/cancelled', "srun": "",
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SBATCH_JOB_NAME", raising=False)
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("slurm_programs")
@pytest.mark.parametrize(("gpus", "asked"), [(0.0, []), (2.0, ["--gpus-per-node=2"]), (0.5, ["--gres=shard:2"])])
def test_what_sbatch_is_asked_for(gpus: float, asked: list[str], tmp_path: Path) -> None:
    """Under a name by which the job is found."""
    Slurm(tmp_path / "jobs", Resources(gpus=gpus, partition="gpu")).submit(Job("ldmiss-r-1", ["true"], tmp_path))
    options = [line.split()[1] for line in (tmp_path / "given").read_text().splitlines() if line.startswith("#SBATCH")]
    assert [option for option in options if option.startswith(("--gpus", "--gres"))] == asked
    assert "--job-name=ldmiss-r-1" in options


@pytest.mark.usefixtures("slurm_programs")
@pytest.mark.parametrize(
    ("partition", "problem"),
    [("gpu", r"allowed: 0\.25, 0\.5, 0\.75, 1"), (None, "no node here shares GPUs")],
)
def test_slurm_refuses_a_fraction_before_any_job(partition: str | None, problem: str, tmp_path: Path) -> None:
    """By the nodes of the partition that the jobs would go to: without a name the default one."""
    with pytest.raises(InputError, match=problem):
        Slurm(tmp_path / "jobs", Resources(gpus=0.3, partition=partition)).check()


@pytest.mark.usefixtures("slurm_programs")
def test_slurm_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken for cancelled or submitted that is not, and no name of the user's hides our jobs."""
    engine = Slurm(tmp_path / "jobs", Resources())
    engine.cancel(["ldmiss-a", "ldmiss-b"])
    assert (tmp_path / "cancelled").read_text() == "--me --name ldmiss-a\n--me --name ldmiss-b\n"
    (tmp_path / "down").touch()
    assert engine.active({"ldmiss-a"}) == {"ldmiss-a"}
    with pytest.raises(InputError, match="scancel fails"):
        engine.cancel(["ldmiss-a"])
    (tmp_path / "bin/sbatch").write_text("#!/bin/sh\necho 'Invalid partition name' >&2; exit 1\n")
    with pytest.raises(InputError, match=r"sbatch refused the job .*Invalid partition name"):
        engine.submit(Job("ldmiss-a", ["true"], tmp_path))
    (tmp_path / "down").unlink()
    monkeypatch.setenv("SBATCH_JOB_NAME", "mine")
    with pytest.raises(InputError, match="SBATCH_JOB_NAME: set in the environment"):
        engine.check()
