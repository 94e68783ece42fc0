"""A sampler call that is cut after any step goes on bit for bit, and takes no step twice."""

import pytest
import torch
from support.memory_checkpoint import Cut, MemoryCheckpoint, result_of_cut_runs
from support.small_models import CPU, GENERATORS, IMPUTERS
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.diffusion.sde import VPSDE
from ldmiss.sampling.samplers import SAMPLERS, num_evaluations, sample_from_prior

ROWS = torch.arange(3)
NUM_STEPS = 5


def with_steps(checkpoint: Checkpoint) -> tuple[RowNoise, SavedSteps]:
    """The noise of a call from its start, and where its state is kept."""
    noise = RowNoise(7, ROWS)
    return noise, SavedSteps(checkpoint, "rows-0-steps", noise)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_cut_call_goes_on_after_its_last_step(sampler: str) -> None:
    """The same bits, although noise is drawn on the way and two steps may belong together, and no evaluation more."""
    evaluations: list[float] = []

    def score(x: Tensor, t: Tensor) -> Tensor:
        evaluations.append(float(t))
        return -x / (1 + t)

    def run(checkpoint: Checkpoint) -> Tensor:
        noise, saved = with_steps(checkpoint)
        x = noise(torch.empty(3, 2, 4))
        return sample_from_prior(sampler, score, VPSDE(), x, num_steps=NUM_STEPS, tau=1e-3, noise=noise, saved=saved)

    expected = run(NO_CHECKPOINT)
    uncut = list(evaluations)
    assert len(uncut) == num_evaluations(sampler, NUM_STEPS)
    evaluations.clear()
    result, num_cuts = result_of_cut_runs(run)
    assert torch.equal(result, expected)
    assert evaluations == uncut
    assert num_cuts == (NUM_STEPS if sampler == "euler_maruyama" else NUM_STEPS - 1)


OF_STEPS = [*GENERATORS, *(name for name in IMPUTERS if not name.startswith(("unet-", "miwae-")))]


@pytest.mark.parametrize("name", OF_STEPS)
def test_every_method_hands_its_steps_on(name: str) -> None:
    """Each generates and imputes with a sampler that keeps its state."""
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    observed = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    call = (GENERATORS | IMPUTERS)[name](CPU, NUM_STEPS)
    inputs = (len(x),) if name in GENERATORS else (x, observed)

    def run(checkpoint: Checkpoint) -> Tensor:
        return call(*inputs, *with_steps(checkpoint))

    result, num_cuts = result_of_cut_runs(run)
    assert num_cuts >= NUM_STEPS - 1
    assert torch.equal(result, run(NO_CHECKPOINT))


def test_a_state_of_another_size_is_left_alone() -> None:
    """As after a change of the number of rows at a time: the call starts over."""
    checkpoint = MemoryCheckpoint()
    noise, saved = with_steps(checkpoint)
    for _ in range(2):
        noise(torch.zeros(3, 4))
    with pytest.raises(Cut):
        saved.offer(2, torch.ones(3, 4))
    for size, step, num_calls in ((3, 2, 2), (2, 0, 0)):
        noise, saved = with_steps(checkpoint)
        found, (x,) = saved.restore(torch.zeros(size, 4))
        assert (found, x.shape, noise.num_calls) == (step, (size, 4), num_calls)
