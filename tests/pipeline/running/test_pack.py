"""The archive for a report: what is in it, what is not, and how large it may be."""

import tarfile
from pathlib import Path

import pytest

from ldmiss_pipeline.__main__ import main
from ldmiss_pipeline.running import pack

SECRET = "do not send"


def test_what_is_packed(copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Versions, params, records and the ends of logs; no data, no models, no settings of remotes."""
    monkeypatch.setattr(pack, "MOST_BYTES", 1000)
    for name, text in {
        "runs/first-hour.log": "x" * 5000 + "the end",
        "runs/logs/impute@0.5-42-ddpm.log": "a stage of repro",
        "runs/grid/1/logs/0.5-42.1.log": "a worker",
        "runs/grid/1/remote.conf": SECRET,
        ".dvc/config.local": SECRET,
    }.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text)
    assert main(["pack", "report.tar.gz"]) == 0
    assert "report.tar.gz: " in capsys.readouterr().out
    with tarfile.open("report.tar.gz") as archive:
        packed = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    assert {"params.yaml", "runs/records.jsonl", "runs/first-hour.log", "runs/grid/1/logs/0.5-42.1.log"} < set(packed)
    assert "runs/logs/impute@0.5-42-ddpm.log" in packed
    assert packed["runs/first-hour.log"].endswith(b"the end")
    assert max(map(len, packed.values())) <= 1000
    assert not [name for name in packed if name.startswith(("data", "models", ".dvc"))]
    assert not [name for name, content in packed.items() if SECRET.encode() in content]


def test_what_the_commands_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output and errors; a command that is not there is no failure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        pack, "COMMANDS", {"a": ["sh", "-c", "echo out; echo err >&2; exit 1"], "b": ["no-such-command"]}
    )
    assert pack.pack(Path("report.tar.gz")) == ["a", "b"]
    with tarfile.open("report.tar.gz") as archive:
        a, b = (archive.extractfile(name).read().decode() for name in "ab")  # type: ignore[union-attr]
    assert a == "out\nerr\n"
    assert "no-such-command" in b


def test_versions_are_told() -> None:
    """torch says what it was built for, and finds the GPU."""
    said = pack._output(pack.COMMANDS["environment.txt"]).decode()
    for word in ("PyTorch version", "CUDA used to build PyTorch", "Nvidia driver version", "GPU models"):
        assert word in said, said[:500]
