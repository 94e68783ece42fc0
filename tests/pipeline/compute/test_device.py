"""What the params ask of a device is there, or refused; and what a CUDA device is set up to, told without one."""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from support import tiny
from support.imports import ROOT

from ldmiss.errors import InputError
from ldmiss_pipeline.compute import device as module
from ldmiss_pipeline.compute.device import Runtime, resolve
from ldmiss_pipeline.config import params


def test_cuda_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear refusal instead of torch's traceback."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    compute = params.validate(tiny.document(compute={"device": "cuda"}), "x").compute
    with pytest.raises(InputError, match=r"compute\.device: cuda was asked for"):
        resolve(compute)


RESOLVED = """
import json, stages, sys, torch
from ldmiss_pipeline.compute.device import resolve
from ldmiss_pipeline.config.schema import Compute
torch.cuda.is_available = lambda: True
torch.cuda.is_bf16_supported = lambda including_emulation: True
runtime = resolve(Compute(device="cuda", dtype="auto", num_threads=1, deterministic={deterministic}))
print(json.dumps([
    str(runtime.device), str(runtime.dtype), torch.are_deterministic_algorithms_enabled(),
    torch.is_deterministic_algorithms_warn_only_enabled(), torch.utils.deterministic.fill_uninitialized_memory,
    [name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules],
]))
"""


@pytest.mark.parametrize("deterministic", [True, False])
def test_how_cuda_is_set_up(deterministic: bool) -> None:
    """Only deterministic algorithms where asked for; new buffers are not filled, and no compiler is imported."""
    code = RESOLVED.format(deterministic=deterministic)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = ["cuda", "torch.bfloat16", deterministic, False, not deterministic, []]
    assert json.loads(done.stdout) == expected


def test_another_node_goes_on_where_the_gpu_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CUDA the key of a checkpoint has the GPU's model, dtype and versions, and nothing of the host."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {model}")

    def key(device: str, cpu: str, num_threads: int, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
        monkeypatch.setattr(module, "processor", lambda: cpu)
        return Runtime(torch.device(device), dtype, num_threads, deterministic=True).key()

    model = "A"
    one = key("cuda", "a processor", 8)
    assert key("cuda", "another", 64) == one
    assert one["torch"] == torch.__version__
    assert {"cuda", "cudnn", "tf32"} < one.keys()
    assert key("cuda", "a processor", 8, torch.bfloat16) != one
    model = "B"
    assert key("cuda", "a processor", 8) != one
    assert key("cpu", "a processor", 8) != key("cpu", "another", 8)
    assert key("cpu", "a processor", 8) != key("cpu", "a processor", 64)
