"""What only a GPU can tell: its results against a CPU's, its memory, its queue (`make test-gpu`).

That training and inference repeat to the bit there is in tests/pipeline/compute/test_determinism.py, which takes the
GPU where there is one. Written without one.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from support.small_models import CPU, GENERATORS, IMPUTERS, autoencoder, unet
from support.small_trainings import ROWS, TRAININGS, incomplete
from torch import Tensor, nn

from ldmiss.core.batching import in_chunks
from ldmiss.core.noise import RowNoise
from ldmiss.errors import DeviceMemoryWarning
from ldmiss.imputation.imputer import Imputer
from ldmiss.networks.layers import at_precision, cast_frozen_layers
from ldmiss.training.loop import Recipe, Training
from ldmiss_pipeline.compute.device import force_deterministic, resolve
from ldmiss_pipeline.config.schema import Compute

pytestmark = pytest.mark.gpu
DEVICE = torch.device("cuda")
STEPS = 5
TOLERANCE = 1e-3
"""Mean difference of a pixel in [0, 1], in float32 after a few steps: another device sums in another order."""


@pytest.fixture(autouse=True)
def _as_a_stage() -> Iterator[None]:
    """Deterministic and without TF32, as `compute.dtype: float32` has it."""
    resolve(Compute(device="cuda", dtype="float32", num_threads=1, deterministic=True))
    yield
    force_deterministic(False)


def infer(name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The images of a generator or an imputer, (ROWS, 1, 28, 28), on the CPU."""
    noise = RowNoise(7, torch.arange(ROWS, device=device))
    if name in GENERATORS:
        return GENERATORS[name](device, STEPS, dtype)(ROWS, noise).cpu()
    images, observed = incomplete(device)
    return Imputer(IMPUTERS[name](device, STEPS, dtype), stochastic=True)(images.float() / 255, observed, noise).cpu()


@pytest.mark.parametrize("name", [*GENERATORS, *IMPUTERS])
def test_a_gpu_gives_what_a_cpu_gives(name: str) -> None:
    """The random numbers of a row are the same on both; the rest is rounding."""
    expected = infer(name, CPU, torch.float32)
    assert float(expected.std()) > 0.05, "nothing to compare"
    assert float((infer(name, DEVICE, torch.float32) - expected).abs().mean()) < TOLERANCE


@pytest.mark.parametrize("name", [*GENERATORS, *IMPUTERS])
def test_bfloat16_is_near(name: str) -> None:
    """On average: with weights cast once, and norms in float32."""
    found, expected = (infer(name, DEVICE, dtype) for dtype in (torch.bfloat16, torch.float32))
    assert float((found - expected).abs().mean()) < 0.05


@pytest.mark.parametrize("name", ["unet", "decoder"])
def test_layers_cast_once_give_the_same_bits(name: str) -> None:
    """As the layers that autocast casts at every call; those still need a gradient, for which they are left alone."""
    networks: list[nn.Module] = [
        unet(2, 7, DEVICE) if name == "unet" else autoencoder(DEVICE).decoder for _ in range(2)
    ]
    x = torch.linspace(-1, 1, 4 * 2 * 7 * 7, device=DEVICE).reshape(4, 2, 7, 7)
    rest = (torch.tensor(0.3, device=DEVICE),) if name == "unet" else ()
    cast_frozen_layers(networks[1].requires_grad_(False), torch.bfloat16)
    with torch.no_grad():
        expected, found = (at_precision(network, torch.bfloat16)(x, *rest) for network in networks)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", TRAININGS)
def test_training_lowers_the_loss_and_waits_for_nothing(name: str, dtype: torch.dtype) -> None:
    """Between the first step of an epoch and its last, torch raises where the host would wait for the device."""
    network, loss = TRAININGS[name](DEVICE, dtype)
    recipe = Recipe(epochs=20, batch_size=ROWS // 4, lr=1e-3, ema_decay=0.9, grad_clip=1.0)
    training = Training(network, recipe, num_items=ROWS, seed=0)

    def on_step(training: Training) -> None:
        within = 0 < training.step % training.steps_per_epoch < training.steps_per_epoch - 1
        torch.cuda.set_sync_debug_mode("error" if within else "default")

    try:
        training.run(loss, on_step)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert sum(training.curve[-5:]) < sum(training.curve[:5])
    assert all(bool(value.isfinite().all()) for value in training.result().values())


def test_chunks_are_halved_where_memory_ends() -> None:
    """torch refuses the memory, frees what the chunk had, and half of it fits."""
    free, _ = torch.cuda.mem_get_info(DEVICE)

    def compute(rows: slice) -> Tensor:
        held = torch.empty(rows.stop - rows.start, free // 3, dtype=torch.uint8, device=DEVICE)
        held[:, :1] = torch.arange(rows.start, rows.stop, device=DEVICE, dtype=torch.uint8)[:, None]
        return held[:, 0].clone()

    with pytest.warns(DeviceMemoryWarning) as warned:
        found = in_chunks(compute, 8, chunk_size=8, name="rows", progress=False)
    assert found.tolist() == list(range(8))
    assert len(warned) == 2  # two rows fit
    torch.cuda.empty_cache()


def test_a_gpu_is_recorded() -> None:
    """Its name, its libraries, and the most memory that torch has held."""
    runtime = resolve(Compute(device="cuda", dtype="auto", num_threads=1, deterministic=True))
    record: dict[str, Any] = runtime.record()
    assert record["device"] == torch.cuda.get_device_name()
    assert {"cuda", "cudnn", "tf32"} < record.keys()
    torch.zeros(10_000_000, device=DEVICE)
    assert runtime.peak_memory()["peak_gpu_memory_mb"] >= 40
