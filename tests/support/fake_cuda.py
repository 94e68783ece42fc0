"""A CUDA device that does not exist: devices, kernels and queue stalls, watched on a machine without a GPU.

Fake tensors say that they are on "cuda" and hold nothing. So operations between devices raise as on a GPU, autocast and
memory formats are CUDA's, and nothing is computed. torch's autograd asks the driver for contexts: a stub of three lines
of C, loaded before all other libraries, answers. So what runs on this device runs in a process of its own.

Not seen here: values, speed, memory, and whether a kernel gives what it should. Tried with torch 2.15+cu132.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from support.imports import ROOT

DEVICE = torch.device("cuda", 0)
INSIDE = "LDMISS_FAKE_CUDA"
"""Environment variable of the process that has the stub."""
CASES = ROOT / "tests/support/fake_cuda_cases.py"
STUB = """
int fake_devices = 0;                                  /* 0 until torch has put its no-op guard in place */
signed char _ZN3c104cuda12device_countEv(void) { return fake_devices; }
int cuDevicePrimaryCtxGetState(int d, unsigned *flags, int *active) { return *flags = *active = 0; }
"""
NOT_DETERMINISTIC = (
    "adaptive_avg_pool", "adaptive_max_pool", "avg_pool3d", "bincount", "bicubic", "bilinear", "ctc_loss", "cumsum",
    "fractional_max", "grid_sampler", "histc", "index_reduce", "linear1d_b", "max_pool3d", "unpool", "median",
    "nll_loss2d", "_pad1d_b", "_pad2d_b", "_pad3d_b", "put_", "scatter", "trilinear",
)  # fmt: skip
"""Parts of the names of what calls Context::alertNotDeterministic in libtorch_cuda 2.15 and a network could reach."""


def why_not() -> str | None:
    """Why there can be no such device here, or None where there can."""
    if torch.version.cuda is None:
        return "torch is no CUDA build"
    if torch.cuda.is_available():
        return "there is a GPU: `make test-gpu`"
    return None if shutil.which("cc") else "no C compiler `cc`"


def run_cases(folder: Path, marker: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of `fake_cuda_cases.py` that the marker expression selects, in a process with the stub.

    Args:
        folder: for the stub.
        marker: as pytest's `-m`.
    """
    (folder / "stub.c").write_text(STUB)
    library = folder / "libcuda.so.1"
    command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(library), str(folder / "stub.c")]
    subprocess.run(command, check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library), INSIDE: "1"}
    plain = ["--noconftest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", "-q", *plain, "-m", marker, str(CASES)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


class Watch(TorchDispatchMode):
    """Notes what waits for the device, and what has no kernel there or no deterministic one; scalars read are 1.

    Attributes:
        ops: how often each operation ran on the device.
        waits: what the host waited for: a scalar read, or a copy from or to the device.
        checks: scalars read by `ldmiss.checks`, at the door of a public function, before anything is queued.
        wrong: what a GPU would refuse.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ops, self.waits, self.checks, self.wrong = Counter[str](), list[str](), 0, set[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _tensors((args, kwargs))
        if func is torch.ops.aten._local_scalar_dense.default:
            if given[0].device.type == "cuda":
                self._scalar_is_read()
            return 1.0 if given[0].is_floating_point() else 1
        result = func(*args, **(kwargs or {}))
        made = _tensors(result)
        if func.namespace == "prim" or "cuda" not in {each.device.type for each in given + made}:
            return result
        name = func.name()
        self.ops[name] += 1
        if name.startswith("aten::_to_copy") and given[0].device.type != made[0].device.type:
            self.waits.append(f"{tuple(given[0].shape)} from {given[0].device.type} to {made[0].device.type}")
        has_kernel = torch._C._dispatch_has_computed_kernel_for_dispatch_key(name, "CUDA")
        if not has_kernel or any(part in name for part in NOT_DETERMINISTIC):
            self.wrong.add(name)
        if name.startswith("aten::_fused_adam") and len({each.device for each in given}) > 1:
            self.wrong.add("fused Adam over several devices")
        return result

    def _scalar_is_read(self) -> None:
        frame = sys._getframe(1)
        while frame is not None and not frame.f_code.co_filename.endswith("ldmiss/checks.py"):
            frame = frame.f_back
        if frame is None:
            self.waits.append("a scalar is read")
        else:
            self.checks += 1


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


@contextmanager
def fake_cuda() -> Iterator[Watch]:
    """The device, in a process that has the stub."""
    # Here, because it is slow to import; the file's other names serve processes that have no such device, too.
    from torch._subclasses.fake_tensor import FakeTensorMode

    torch._C._ensureCUDADeviceGuardSet()
    ctypes.c_int.in_dll(ctypes.CDLL("libcuda.so.1"), "fake_devices").value = 100
    patches: list[tuple[Any, str, Any]] = [
        (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
        (torch.cuda, "is_bf16_supported", lambda including_emulation=True: True),
        (torch._C, "_select_conv_backend", lambda *args, **kwargs: torch._C._ConvBackend.Cudnn),
        (nn.functional, "scaled_dot_product_attention", _attention),
        (nn.Module, "_apply", _apply),
        (torch, "Generator", _Generator),
    ]
    with ExitStack() as stack:
        for owner, name, value in patches:
            stack.enter_context(mock.patch.object(owner, name, value))
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(FakeTensorMode())
        stack.enter_context(_generators_are_checked())
        yield stack.enter_context(Watch())


class _Generator(torch.Generator):
    """Says that it is on CUDA."""

    def __new__(cls, device: Any = "cpu") -> "_Generator":
        return super().__new__(cls)

    def __init__(self, device: Any = "cpu") -> None:
        self.on = torch.device(device)

    @property
    def device(self) -> torch.device:
        return self.on


def _generators_are_checked() -> Any:
    """Refuses draws whose generator is on another device, as torch does; fake tensors do not look."""
    from torch.overrides import TorchFunctionMode

    class Generators(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result, generator = func(*args, **(kwargs or {})), (kwargs or {}).get("generator")
            allowed = ("meta", generator.device.type) if generator is not None else ()
            if allowed and isinstance(result, Tensor) and result.device.type not in allowed:
                raise RuntimeError(f"{func}: a generator on {generator.device} for a tensor on {result.device}")
            return result

    return Generators()


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """torch asks the GPU which kernel to take; where the last stride is not 1, as here, it takes this one."""
    return torch.ops.aten._scaled_dot_product_attention_math(q, k, v)[0]


def _apply(self: nn.Module, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """torch's own swaps tensors, which fake ones cannot."""
    for module in self.modules():
        for name, value in module._parameters.items():
            if value is not None:
                module._parameters[name] = nn.Parameter(fn(value.detach()), value.requires_grad)
    return self
