"""The training loop: it learns, and a run cut anywhere goes on bit for bit."""

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ldmiss.errors import DivergenceError
from ldmiss.networks.layers import build, init_torch_default
from ldmiss.training.loop import BatchLoss, Recipe, Training
from ldmiss.training.schedules import plateau_factor

ITEMS = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
RECIPES = {
    "plain": Recipe(epochs=6, batch_size=16, lr=0.05),
    "warm-up, average, clipping": Recipe(6, 16, 0.05, lr_schedule="warmup_cosine", ema_decay=0.9, grad_clip=0.1),
    "plateau, early stop": Recipe(150, 25, 0.5, lr_schedule="plateau", early_stop=80),
}


def start(recipe: Recipe, seed: int = 0) -> Training:
    """A fresh run of a small network, always from the same weights."""
    network = build(
        lambda: nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 3)),
        "cpu",
        init_torch_default,
        torch.Generator().manual_seed(1),
    )
    return Training(network, recipe, num_items=len(ITEMS), seed=seed)


def denoising(training: Training) -> BatchLoss:
    """Predict an item from a noisy one: uses the batch and the step's generator."""

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        x = ITEMS[batch]
        return (training.network(x + torch.randn(x.shape, generator=generator)) - x).square().mean()

    return loss


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Equal names and, bit for bit, values."""
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_the_loss_goes_down() -> None:
    """A toy regression is learnt: the last epoch's loss is a tenth of the first's; one number per epoch."""
    training = start(Recipe(epochs=40, batch_size=10, lr=0.02))
    training.run(lambda batch, _: (training.network(ITEMS[batch]) - 2 * ITEMS[batch]).square().mean())
    assert len(training.curve) == 40
    assert training.curve[-1] < 0.1 * training.curve[0]
    assert training.last_loss() == training.curve[-1]


def test_the_curve_is_the_mean_over_the_epochs_steps() -> None:
    """With losses known in advance: steps 0-3 are the first epoch, 4-7 the second."""
    training = start(Recipe(epochs=2, batch_size=16, lr=0.0))
    training.run(lambda batch, _: 0.0 * training.network(ITEMS[batch]).sum() + training.step)
    assert training.curve == [1.5, 5.5]


def test_each_epoch_visits_every_item_once() -> None:
    """In another order each epoch and for each seed, in batches of the size asked for, the last one smaller."""

    def chained(batches: list[list[int]]) -> list[int]:
        return [item for batch in batches for item in batch]

    def batches_of(seed: int) -> list[list[int]]:
        training, seen = start(Recipe(epochs=2, batch_size=16, lr=0.0), seed), []

        def loss(batch: Tensor, _: torch.Generator) -> Tensor:
            seen.append(batch.tolist())
            return training.network(ITEMS[batch]).sum()

        training.run(loss)
        return seen

    batches = batches_of(0)
    assert [len(batch) for batch in batches] == [16, 16, 16, 2] * 2
    first, second = chained(batches[:4]), chained(batches[4:])
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert batches_of(0) == batches
    assert chained(batches_of(1)[:4]) != first


def test_every_step_has_its_own_random_numbers() -> None:
    """They follow from (seed, step) alone: all steps differ, another seed differs, the same seed repeats."""

    def numbers(seed: int) -> list[float]:
        training, drawn = start(Recipe(epochs=3, batch_size=16, lr=0.0), seed), []

        def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
            drawn.append(float(torch.rand((), generator=generator, dtype=torch.float64)))
            return training.network(ITEMS[batch]).sum()

        training.run(loss)
        return drawn

    assert len(set(numbers(0)) | set(numbers(1))) == 2 * 12
    assert numbers(0) == numbers(0)


LATE = "plateau, early stop"
CUTS = [(name, cut) for name in RECIPES for cut in (0, 1, 4, 7, 8, 19, 24)] + [(LATE, 177)]


@pytest.mark.parametrize(("name", "cut"), CUTS)
def test_a_run_that_was_cut_short_goes_on_bit_for_bit(name: str, cut: int) -> None:
    """Snapshot after step `cut`, restored into a fresh network and run on: result, curve and state are the same.

    The snapshot goes through the bytes of a safetensors file, as in the pipeline. Cuts fall inside epochs, on their
    ends, before the first and after the last step of the shorter recipes; and, at 177, where more than 50 bad epochs
    have lowered the rate and the best weights are old.
    """
    recipe, kept = RECIPES[name], {}
    whole = start(recipe)
    kept[0] = save(whole.snapshot())

    def on_step(training: Training) -> None:
        if training.step == cut:
            kept[cut] = save(training.snapshot())

    whole.run(denoising(whole), on_step)
    resumed = start(recipe)
    with torch.no_grad():
        for parameter in resumed.network.parameters():
            parameter.fill_(7.0)  # nothing of a fresh start may be left
    resumed.restore(load(kept[cut]))
    assert resumed.step == cut
    assert (plateau_factor(resumed.curve) < 1) == (cut == 177)
    resumed.run(denoising(resumed))
    assert resumed.curve == whole.curve
    assert_same(resumed.result(), whole.result())
    assert_same(resumed.snapshot(), whole.snapshot())


def test_early_stop_keeps_the_best_weights() -> None:
    """It stops `early_stop` epochs after the lowest epoch loss, and keeps the weights of that epoch's end."""
    training = start(Recipe(epochs=200, batch_size=25, lr=0.5, early_stop=5))
    weights: list[dict[str, Tensor]] = []

    def on_step(training: Training) -> None:
        if training.step % training.steps_per_epoch == 0:
            weights.append({name: value.clone() for name, value in training.network.state_dict().items()})

    training.run(denoising(training), on_step)
    best = training.curve.index(min(training.curve))
    assert len(training.curve) == best + 1 + 5 < 200
    assert_same(training.result(), weights[best])
    assert not torch.equal(weights[best]["0.weight"], weights[-1]["0.weight"])


def test_average_is_kept_instead_of_the_last_weights() -> None:
    """With `ema_decay` the result is the warmed-up average of the weights after each step, by hand."""
    training = start(Recipe(epochs=2, batch_size=16, lr=0.05, ema_decay=0.5))
    average = {name: value.clone() for name, value in training.network.state_dict().items()}

    def on_step(training: Training) -> None:
        decay = min(0.5, training.step / (9 + training.step))  # step counts from 1 here: n = step - 1
        for name, value in training.network.state_dict().items():
            average[name] = decay * average[name] + (1 - decay) * value

    training.run(denoising(training), on_step)
    result = training.result()
    for name, value in average.items():
        torch.testing.assert_close(result[name], value)
    assert not torch.equal(result["0.weight"], training.network.state_dict()["0.weight"])


def test_gradients_are_clipped_and_the_schedule_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam's update does not show a clip by itself, so the gradient is looked at; and so is the rate of each step."""
    training = start(Recipe(epochs=2, batch_size=50, lr=0.5, lr_schedule="cosine", grad_clip=0.25))
    norms, rates, update = [], [], training.optimizer.step

    def step(lr: float) -> None:
        norms.append(torch.stack([p.grad.norm() for p in training.network.parameters() if p.grad is not None]).norm())
        rates.append(lr)
        update(lr)

    monkeypatch.setattr(training.optimizer, "step", step)
    training.run(lambda batch, _: 1e3 * training.network(ITEMS[batch]).square().sum())
    assert [float(norm) for norm in norms] == pytest.approx([0.25, 0.25], rel=1e-4)
    assert rates == [0.5, 0.25]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_an_error(value: float) -> None:
    """It names the step, here the sixth of the run, in the middle of the second epoch."""
    training = start(Recipe(epochs=3, batch_size=16, lr=0.1))

    def loss(batch: Tensor, _: torch.Generator) -> Tensor:
        return training.network(ITEMS[batch]).mean() * (value if training.step == 5 else 1.0)

    with pytest.raises(DivergenceError, match="not finite at step 5"):
        training.run(loss)


def test_weights_that_are_not_finite_are_never_kept() -> None:
    """A finite loss whose gradient is not: the step ruins the weights; neither a checkpoint nor a result keeps them."""
    training = start(Recipe(epochs=1, batch_size=50, lr=0.1))
    training.run(lambda batch, _: (training.network(ITEMS[batch]) * 0).abs().sqrt().sum())
    for keep in (training.snapshot, training.result):
        with pytest.raises(DivergenceError, match="weights are not finite after step 0"):
            keep()


def test_modes_and_the_global_generator() -> None:
    """Train mode during steps, evaluation mode after; torch's global random state stays as it was."""
    training, state = start(RECIPES["plain"]), torch.get_rng_state()
    modes = set()
    training.run(denoising(training), lambda training: modes.add(training.network.training))
    assert modes == {True}
    assert not training.network.training
    assert torch.equal(torch.get_rng_state(), state)


def test_a_snapshot_of_another_network_is_refused() -> None:
    """Names or shapes that do not fit raise."""
    other = Training(nn.Linear(2, 2), RECIPES["plain"], num_items=4, seed=0)
    with pytest.raises(RuntimeError):
        start(RECIPES["plain"]).restore(other.snapshot())
