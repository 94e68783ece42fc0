"""Model files: round trips to the same bytes, and one clear error for a file that is not what it should be."""

from pathlib import Path

import pytest
import torch

from ldmiss.errors import InputError
from ldmiss.files.tensors import load_metadata, load_tensors, save_tensors, with_prefix, without_prefix


def test_tensors_round_trip_to_the_same_bytes(tmp_path: Path) -> None:
    """Weights and metadata come back; the same content is the same file, whatever the order of keys."""
    tensors = {"b": torch.arange(3), "a": torch.rand(2, 2)}
    metadata = {f"key{i}": i for i in range(20)}
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    digest = save_tensors(first, tensors, kind="vae", metadata=metadata)
    save_tensors(second, dict(reversed(tensors.items())), kind="vae", metadata=dict(reversed(metadata.items())))
    assert first.read_bytes() == second.read_bytes()
    loaded, header = load_tensors(first, kind="vae")
    assert all(torch.equal(loaded[name], value) for name, value in tensors.items())
    assert header["key7"] == 7
    assert header == load_metadata(first)
    assert header["digest"] == digest != save_tensors(second, tensors, kind="vae", metadata={})


def test_what_is_no_such_file_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, of another kind or format, cut short, or with one bit flipped in a weight."""
    path = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match=r"x\.safetensors: missing file"):
        load_tensors(path, kind="vae")
    save_tensors(path, {"a": torch.zeros(100)}, kind="vae", metadata={})
    with pytest.raises(InputError, match=r"x\.safetensors: expected 'ddpm', format 2, found 'vae', format 2"):
        load_tensors(path, kind="ddpm")
    with monkeypatch.context() as later:
        later.setattr("ldmiss.files.tensors.FORMAT_VERSION", 3)
        with pytest.raises(InputError, match="expected 'vae', format 3"):
            load_tensors(path, kind="vae")
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:-1] + b"\1"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"x\.safetensors: corrupted"):
            load_tensors(path, kind="vae")


def test_networks_share_a_file_under_prefixes() -> None:
    """Each comes back by its own names; a name that only starts alike is not taken."""
    weights = {"conv.weight": torch.zeros(1)}
    together = with_prefix("unet", weights) | with_prefix("unet2", {"other": torch.ones(1)})
    assert without_prefix("unet", together).keys() == weights.keys()
