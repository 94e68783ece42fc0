"""Counter-based noise: known answers of Philox, normality, and independence of batch, draw and call."""

import math

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from ldmiss.core.noise import RowNoise, philox4x32, torch_generator

ALL = 0xFFFFFFFF
KNOWN_ANSWERS = [  # counter, key, result: Random123's kat_vectors for philox4x32-10
    ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((ALL, ALL, ALL, ALL), (ALL, ALL), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def draw(seed: int, rows: list[int], draws: list[int] | None = None, shape: tuple[int, ...] = (1, 4, 5)) -> Tensor:
    """The first call's noise."""
    noise = RowNoise(seed, torch.tensor(rows), None if draws is None else torch.tensor(draws))
    return noise(torch.empty(len(rows), *shape))


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_known_answers(counter: tuple[int, ...], key: tuple[int, int], expected: str) -> None:
    """The three vectors that Random123 publishes."""
    words = philox4x32(tuple(torch.tensor([c]) for c in counter), key)  # type: ignore[arg-type]
    assert " ".join(f"{int(word):08x}" for word in words) == expected


def test_rows_do_not_depend_on_batch_or_order() -> None:
    """A row's numbers are the same bit for bit alone, among others, and in any order."""
    together = draw(5, [3, 8, 1000])
    assert torch.equal(draw(5, [1000, 3]), together[[2, 0]])
    assert torch.equal(draw(5, [8]), together[1:2])


def test_large_batches_give_the_same_numbers() -> None:
    """Also where torch works in vectors: 1000 rows of 784 against the same rows one by one."""
    together = draw(5, list(range(1000)), shape=(784,))
    for row in (0, 1, 500, 999):
        assert torch.equal(draw(5, [row], shape=(784,))[0], together[row])


@pytest.mark.parametrize("counters", [1, 7, 100, 2**17])
def test_numbers_do_not_depend_on_how_they_are_worked_off(counters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row at a time, blocks that end in the middle of the batch, or all at once."""
    whole = draw(5, list(range(40)), shape=(7, 7))
    monkeypatch.setattr("ldmiss.core.noise._COUNTERS_AT_A_TIME", counters)
    assert torch.equal(draw(5, list(range(40)), shape=(7, 7)), whole)


def test_numbers_are_those_of_philox_and_box_muller() -> None:
    """Row 8 of draw 2 in its second call, from the published generator's words by the textbook's formula."""
    noise = RowNoise(5 + (3 << 32), torch.tensor([8]), torch.tensor([2]))
    noise(torch.empty(1, 8))
    second = noise(torch.empty(1, 8))[0]
    expected = []
    for block in range(2):
        words = philox4x32(tuple(torch.tensor([c]) for c in (block, 1, 8, 2)), (5, 3))  # type: ignore[arg-type]
        u = [(int(word) + 0.5) / 2**32 for word in words]
        for radius, angle in ((u[0], u[1]), (u[2], u[3])):
            length, turn = math.sqrt(-2 * math.log(radius)), 2 * math.pi * angle
            expected += [length * math.cos(turn), length * math.sin(turn)]
    assert second.tolist() == pytest.approx(expected, abs=1e-5)


def test_noise_is_standard_normal() -> None:
    """Kolmogorov-Smirnov on 200,000 numbers, and no dependence among the four that share a counter."""
    noise = draw(0, list(range(1000)), shape=(200,))
    assert kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    four = noise.reshape(-1, 4).T
    torch.testing.assert_close(four.cov(), torch.eye(4), rtol=0, atol=5 * math.sqrt(2 / 50_000))  # 5 standard errors
    squares = four.square().corrcoef()  # a shared radius would show here
    torch.testing.assert_close(squares, torch.eye(4), rtol=0, atol=5 / math.sqrt(50_000))


@pytest.mark.parametrize("word", [0, ALL])
def test_extreme_words_give_finite_noise(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest and the largest 32-bit word: no infinite radius, |z| at most 6.8."""
    monkeypatch.setattr("ldmiss.core.noise.philox4x32", lambda counter, key: (torch.full((1, 1), word),) * 4)
    noise = draw(0, [0], shape=(4,))
    assert noise.isfinite().all()
    assert noise.abs().max() == pytest.approx(6.76 if word == 0 else 0.0, abs=0.01)


def test_seeds_rows_draws_and_calls_are_independent() -> None:
    """Changing any one of them gives uncorrelated numbers (20,000 each: 5 standard errors)."""
    rows, shape = [3], (20_000,)
    noise = RowNoise(0, torch.tensor(rows))
    x = torch.empty(1, *shape)
    streams = {
        "first": noise(x),
        "second call": noise(x),
        "other seed": draw(1, rows, shape=shape),
        "other high word of the seed": draw(1 << 40, rows, shape=shape),
        "other row": draw(0, [4], shape=shape),
        "other draw": draw(0, rows, [1], shape=shape),
    }
    correlation = torch.corrcoef(torch.cat(list(streams.values())))
    torch.testing.assert_close(correlation, torch.eye(len(streams)), rtol=0, atol=5 / math.sqrt(20_000))


def test_draw_zero_is_the_default_and_calls_are_counted() -> None:
    """No draws means draw 0; two sources of the same seed give the same sequence of calls."""
    assert torch.equal(draw(0, [1, 2]), draw(0, [1, 2], [0, 0]))
    one, other = RowNoise(0, torch.arange(2)), RowNoise(0, torch.arange(2))
    x = torch.empty(2, 3)
    assert [one(x).tolist() for _ in range(3)] == [other(x).tolist() for _ in range(3)]


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 7, 7), (1, 28, 28)])
def test_shapes(shape: tuple[int, ...]) -> None:
    """The shape of x, float32, finite; sizes that are no multiple of four are cut from the same stream."""
    noise = draw(0, [0, 1], shape=shape)
    assert noise.shape == (2, *shape)
    assert noise.dtype == torch.float32
    assert noise.isfinite().all()
    size = math.prod(shape)
    assert torch.equal(noise.flatten(1), draw(0, [0, 1], shape=(size + 5,))[:, :size])


def test_torch_generator_is_its_own() -> None:
    """The same purpose gives the same numbers, another one others, and torch's global state stays as it was."""
    state = torch.get_rng_state()
    numbers = [torch.rand(3, generator=torch_generator("cpu", 1, *p)) for p in (("a", 0), ("a", 0), ("a", 1), ("b", 0))]
    assert torch.equal(numbers[0], numbers[1])
    assert not any(torch.equal(numbers[0], other) for other in numbers[2:])
    assert torch.equal(torch.get_rng_state(), state)
