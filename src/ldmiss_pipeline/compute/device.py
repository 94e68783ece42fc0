"""What a stage computes on: device, dtype and threads, resolved from the `compute` params."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ldmiss.errors import InputError
from ldmiss_pipeline.compute.cores import num_cores
from ldmiss_pipeline.config.schema import Compute

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MOST_AT_A_TIME = 2
"""Chunks: other stages run beside this one, and `auto` ones of the paper's networks take up to 1.2 GB each on a CPU."""


@dataclass(frozen=True)
class Runtime:
    """Resolved: where networks run and at what precision their layers compute.

    `deterministic`: whether a CUDA device may use deterministic algorithms only; a CPU's are so anyhow.
    """

    device: torch.device
    dtype: torch.dtype
    num_threads: int
    deterministic: bool

    @property
    def num_at_a_time(self) -> int:
        """Chunks of images to compute side by side: on a CPU as many as fill its cores, up to two."""
        return min(MOST_AT_A_TIME, max(1, num_cores() // self.num_threads)) if self.device.type == "cpu" else 1

    def key(self) -> dict[str, Any]:
        """What decides whether another process may go on from a checkpoint of this one.

        On a CPU, all that low-order bits depend on. On a GPU they depend on its model and on the versions of its
        libraries; the host's processor and threads launch its kernels, and the next node may have others. (The imputers
        without a network compute on the host even so, in seconds: a cut run of theirs may mix last bits.)
        """
        of_the_host = ("cpu", "num_threads") if self.device.type == "cuda" else ()
        return {name: value for name, value in self.record().items() if name not in of_the_host}

    def record(self) -> dict[str, Any]:
        """All that low-order bits depend on, for the `runs/` record."""
        on_cuda = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.device) if on_cuda else "cpu",
            "cpu": processor(),
            "dtype": str(self.dtype).removeprefix("torch."), "num_threads": self.num_threads,
            "deterministic": self.deterministic, "torch": torch.__version__, **(_cuda_record() if on_cuda else {}),
        }  # fmt: skip

    def peak_memory(self) -> dict[str, int]:
        """What torch has held of the GPU's memory at most, in MB, for the `runs/` record; nothing on a CPU."""
        if self.device.type != "cuda":
            return {}
        return {"peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated(self.device) / 1e6)}


def resolve(compute: Compute) -> Runtime:
    """Resolve `auto`, and set torch's threads and determinism accordingly.

    `dtype: auto` is bfloat16 where the processor computes with it natively, else float32.

    Raises:
        InputError: a CUDA device is asked for where there is none.
    """
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise InputError("compute.device: cuda was asked for, but there is none; allowed here: auto, cpu")
    device = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu") if compute.device == "auto" else compute.device
    )
    dtype = _native_dtype(device) if compute.dtype == "auto" else DTYPES[compute.dtype]
    num_threads = num_cores() if compute.num_threads == "auto" else int(compute.num_threads)
    torch.set_num_threads(num_threads)
    if device.type == "cuda":
        _set_up_cuda(compute.deterministic, tf32=compute.dtype != "float32")
    return Runtime(device, dtype, num_threads, compute.deterministic)


def processor() -> str:
    """The processor's model where the system tells it (Linux), else its architecture; what instructions torch uses."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(names, platform.processor() or platform.machine())
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}"


def _set_up_cuda(deterministic: bool, *, tf32: bool) -> None:
    # The CPU's algorithms used here are deterministic at a given number of threads; torch's switch only slows them.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        force_deterministic(True)


def force_deterministic(forced: bool) -> None:
    """Whether torch may use deterministic algorithms only, in this process; others then raise.

    The flag is that of `torch.use_deterministic_algorithms`, which also imports torch's compilers: seconds.
    Under it torch fills every new buffer with NaN, a kernel each, so that reading one too early shows: not here.
    """
    torch.set_deterministic_debug_mode("error" if forced else "default")
    torch.utils.deterministic.fill_uninitialized_memory = not forced  # type: ignore[attr-defined]


def _cuda_record() -> dict[str, Any]:
    return {
        "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }  # fmt: skip


def _native_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # Not yet public in torch; where the names change, float32 is the safe answer.
        probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
        native = any(probe() for probe in probes if probe is not None)
    return torch.bfloat16 if native else torch.float32
