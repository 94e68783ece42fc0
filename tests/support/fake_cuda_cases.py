"""What runs on the CUDA device that does not exist, in the process of tests/ldmiss/test_fake_cuda.py.

Networks, losses, optimiser, average, samplers and imputers; and bugs planted in them, each of which has to be seen.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ldmiss.checks import check_finite
from ldmiss.core.noise import RowNoise
from ldmiss.diffputer import em, objective
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.imputation.imputer import Imputer
from ldmiss.networks import layers
from ldmiss.sampling.samplers import SAMPLERS
from ldmiss.training import loop
from ldmiss.training.adam import Adam
from ldmiss.training.ema import EMA
from ldmiss.training.loop import Recipe, Training
from support import small_models
from support.fake_cuda import DEVICE, INSIDE, Watch, fake_cuda
from support.small_models import GENERATORS, IMPUTERS
from support.small_trainings import ROWS, TRAININGS, incomplete

pytestmark = pytest.mark.skipif(INSIDE not in os.environ, reason="runs in the process of test_fake_cuda.py")
STEPS = 3
DTYPES = [torch.float32, torch.bfloat16]
NO_GRID = ("unet-regression", "unet-regression-draws", "miwae-mean", "miwae-draws")
GRID = f"({STEPS + 1},) from cpu to cuda"
ORDER = f"({ROWS},) from cpu to cuda"
"""An epoch's order is copied where it begins, and where a run begins, which may be within one."""


@pytest.fixture
def watch() -> Iterator[Watch]:
    """The device."""
    with fake_cuda() as watch:
        yield watch


def train(watch: Watch, name: str, dtype: torch.dtype) -> None:
    """An epoch, then on from a snapshot; within the epoch the host never waits for the device."""
    network, loss = TRAININGS[name](DEVICE, dtype)
    recipe = Recipe(epochs=1, batch_size=ROWS // 2, lr=1e-3, ema_decay=0.9, grad_clip=1.0)
    training, waits = Training(network, recipe, num_items=ROWS, seed=0), list[list[str]]()
    watch.waits.clear()
    training.run(loss, lambda training: waits.append(list(watch.waits)))
    assert waits[0] == [ORDER, ORDER], "a step waits"  # the second step ends the epoch, and the losses are read
    assert watch.ops["aten::_foreach_lerp_.Scalar"] == 2, "the average takes one kernel a step"
    training.restore(training.snapshot())
    assert {value.device.type for value in training.result().values()} == {"cpu"}
    assert not watch.wrong


def infer(watch: Watch, name: str, dtype: torch.dtype) -> None:
    """A generator or an imputer, on a few rows."""
    waits = () if name in NO_GRID else (GRID,)
    run(watch, (GENERATORS | IMPUTERS)[name](DEVICE, STEPS, dtype), generates=name in GENERATORS, waits=waits)


def run(watch: Watch, made: Callable[..., Tensor], *, generates: bool, waits: tuple[str, ...] = (GRID,)) -> None:
    """One call, which copies a time grid to the device before it begins and else waits for nothing."""
    images, observed = incomplete(DEVICE)
    x_obs, noise = images.float() / 255, RowNoise(7, torch.arange(ROWS, device=DEVICE))
    watch.waits.clear()
    watch.checks = 0
    out = made(ROWS, noise) if generates else Imputer(made, stochastic=True)(x_obs, observed, noise)
    assert out.device.type == "cuda"
    assert out.shape == images.shape
    assert tuple(watch.waits) == waits
    assert watch.checks <= 2, "values are checked once at the door: of the imputer and of its method"
    assert not watch.wrong


CORE = ["vae", "ldmiss", "diffputer"], ["ldmiss-guidance", "ddpm-replacement", "diffputer-replacement"]
"""Trainings, generators and imputers whose networks and operations are between them those of all."""


def fast_first(names: Iterable[str], core: list[str]) -> list[Any]:
    """All names, those outside the core as slow ones."""
    return [name if name in core else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", fast_first(TRAININGS, CORE[0]))
def test_training(watch: Watch, name: str) -> None:
    """In the dtype of a GPU."""
    train(watch, name, torch.bfloat16)


@pytest.mark.parametrize("name", fast_first([*GENERATORS, *IMPUTERS], CORE[1]))
def test_inference(watch: Watch, name: str) -> None:
    """As training."""
    infer(watch, name, torch.bfloat16)


def test_frozen_weights_are_cast_once(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the sampler begins; autocast alone casts the 7 weights and 7 biases at each of its evaluations."""

    def num_casts() -> int:
        before = watch.ops["aten::_to_copy"]
        infer(watch, "diffputer", torch.bfloat16)
        return watch.ops["aten::_to_copy"] - before

    ours = num_casts()
    monkeypatch.setattr(layers, "cast_frozen_layers", lambda network, dtype: None)
    assert num_casts() - ours == 14 * (2 * STEPS - 1) - 14


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_training_in_float32(watch: Watch, name: str) -> None:
    """Without autocast."""
    train(watch, name, torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GENERATORS, *IMPUTERS])
def test_inference_in_float32(watch: Watch, name: str) -> None:
    """Without autocast."""
    infer(watch, name, torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("guided", [False, True])
def test_every_sampler(watch: Watch, sampler: str, guided: bool) -> None:
    """Unconditional and guided."""
    model = small_models.ldmiss(DEVICE, torch.bfloat16)
    method = model.impute_by_guidance if guided else model.generate
    run(watch, partial(method, num_steps=STEPS, sampler=sampler), generates=not guided)


@pytest.mark.slow
def test_a_latest_time_of_guidance_is_asked_for_once_a_step(watch: Watch) -> None:
    """Where t_max < 1, and it costs less than guiding where it is not wanted: see docs/gpu.md."""
    model = small_models.ddpm(DEVICE, torch.bfloat16)
    method = partial(model.impute_by_guidance, num_steps=STEPS, t_max=0.1)
    run(watch, method, generates=False, waits=(GRID, *["a scalar is read"] * STEPS))


def _before(owner: Any, name: str, extra: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """`extra` is called with the arguments before `owner.name` is."""
    real = getattr(owner, name)

    def planted(*args: Any, **kwargs: Any) -> Any:
        extra(*args, **kwargs)
        return real(*args, **kwargs)

    return lambda patch: patch.setattr(owner, name, planted)


def _instead(owner: Any, name: str, make: Callable[[Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """What `make` gives, from what was there, is `owner.name`."""
    return lambda patch: patch.setattr(owner, name, make(getattr(owner, name)))


def _steps_on_the_cpu(patch: pytest.MonkeyPatch) -> None:
    real = Adam.__init__

    def planted(self: Adam, parameters: Any) -> None:
        real(self, parameters)
        self._steps = [step.cpu() for step in self._steps]

    patch.setattr(Adam, "__init__", planted)


BUGS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Callable[..., None], str, str]] = {
    "no device= in a loss": (
        _instead(objective, "sample_sigmas", lambda real: lambda num, generator: torch.randn(num, generator=generator)),
        train, "diffputer", "a generator on cuda",
    ),
    "no device= in a sampler": (
        _instead(em, "karras_sigmas", lambda real: lambda num_steps, device: real(num_steps)),
        infer, "diffputer-replacement", "device|cpu",
    ),
    "the generator of a step on the CPU": (
        _instead(loop, "torch_generator", lambda real: lambda device, *seed: real("cpu", *seed)),
        train, "diffputer", "a generator on cpu|device",
    ),
    "Adam's steps on the CPU": (_steps_on_the_cpu, train, "diffputer", "fused Adam over several devices|device"),
    "a CPU tensor in the noise": (
        _before(RowNoise, "__call__", lambda self, x: setattr(self, "_rows", self._rows.cpu())),
        infer, "diffputer-replacement", "from cuda to cpu",
    ),
    "a scalar read per training step": (
        _before(EMA, "update", lambda self, parameters, num: next(iter(parameters.values())).sum().item()),
        train, "diffputer", "a step waits",
    ),
    "a scalar read per sampling step": (
        _before(em, "ode_step", lambda denoise, x, *rest, **kwargs: bool(x.isfinite().all())),
        infer, "diffputer-replacement", "a scalar is read",
    ),
    "values checked per sampling step": (
        _before(em, "ode_step", lambda denoise, x, *rest, **kwargs: check_finite("x", x)),
        infer, "diffputer-replacement", "once at the door",
    ),
    "a time copied per sampling step": (
        _before(em, "ode_step", lambda denoise, x, *rest, **kwargs: torch.zeros(1).to(x.device)),
        infer, "diffputer-replacement", "from cpu to cuda",
    ),
    "weights left on the device": (
        _instead(loop.Training, "result", lambda real: lambda self: dict(self.network.named_parameters())),
        train, "diffputer", "cuda",
    ),
    "upsampling that blends": (
        _instead(F, "interpolate", lambda real: lambda *args, **kwargs: real(*args, **kwargs | {"mode": "bilinear"})),
        infer, "ddpm-replacement", "bilinear",
    ),
    "an operation without a deterministic kernel": (
        _before(DiffPuterMLP, "forward", lambda self, x, sigma: x.cumsum(1)),
        train, "diffputer", "cumsum",
    ),
    "an operation without a CUDA kernel": (
        _before(DiffPuterMLP, "forward", lambda self, x, sigma: torch.ops.aten._add_relu(x, x)),
        train, "diffputer", "_add_relu",
    ),
}  # fmt: skip
"""Name -> how it is planted; the check that sees it, of what, and what it says."""


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_seen(watch: Watch, bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would hold nothing."""
    plant, check, name, message = BUGS[bug]
    plant(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError), match=message):
        check(watch, name, torch.bfloat16)
