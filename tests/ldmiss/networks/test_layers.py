"""Building blocks of the networks, and their initialisation from a passed generator only."""

import math
from collections.abc import Callable

import pytest
import torch
from support.small_models import autoencoder, mlp, unet
from torch import Tensor, nn

from ldmiss.networks.layers import (
    GroupNorm,
    SelfAttention,
    at_precision,
    build,
    cast_frozen_layers,
    drop,
    init_fan_avg,
    init_torch_default,
    sinusoidal_embedding,
    zero_init,
)

INITS = [init_fan_avg, init_torch_default]


def make() -> nn.Sequential:
    """A small network with every kind of layer that the initialisers know."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), GroupNorm(4, 8), SelfAttention(8, 4), zero_init(nn.Conv2d(8, 8, 1)), nn.Linear(8, 100)
    )


def seeded(seed: int = 0) -> torch.Generator:
    """A CPU generator."""
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("init", INITS)
def test_build_is_deterministic_and_leaves_the_global_generator_alone(init: object) -> None:
    """Same generator, same weights; another seed, others; torch's global state stays as it was."""
    state = torch.get_rng_state()
    one, same, other = (build(make, "cpu", init, seeded(s)).state_dict() for s in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("init", INITS)
def test_build_leaves_no_memory_uninitialised(init: object) -> None:
    """Fresh memory is filled with NaN here; none is left in any weight."""
    torch.use_deterministic_algorithms(True)  # makes torch.empty fill with NaN
    try:
        network = build(make, "cpu", init, seeded())
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(value.isfinite().all() for value in network.state_dict().values())


def test_init_fan_avg() -> None:
    """U(-b, b) with b = sqrt(6 / (fan_in + fan_out)), zero biases, norms at one, and marked layers at zero."""
    network = build(make, "cpu", init_fan_avg, seeded()).requires_grad_(False)
    bound = math.sqrt(6 / (8 + 100))
    weight = network[4].weight
    assert 0.98 * bound < weight.abs().max() <= bound  # the largest of 800 uniform numbers
    assert weight.var() == pytest.approx(bound**2 / 3, rel=0.15)
    assert not network[4].bias.any()
    assert not network[3].weight.any()
    assert not network[2].proj.weight.any()
    assert network[2].qkv.weight.any()
    assert (network[1].weight == 1).all()


def test_init_torch_default() -> None:
    """U(-b, b) with b = 1 / sqrt(fan_in), for weights and biases."""
    network = build(make, "cpu", init_torch_default, seeded()).requires_grad_(False)
    for values in (network[4].weight, network[4].bias):
        assert 0.9 / math.sqrt(8) < values.abs().max() <= 1 / math.sqrt(8)
    assert network[4].weight.var() == pytest.approx(1 / 8 / 3, rel=0.15)  # 800 numbers
    assert network[0].weight.abs().max() <= 1 / 3


def test_sinusoidal_embedding() -> None:
    """Sines then cosines; the first frequency is 1, the last exactly 1/10000."""
    embedding = sinusoidal_embedding(torch.tensor([0.0, 3.0]), 8)
    assert embedding[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    angles = [3 * 10000 ** (-k / 3) for k in range(4)]
    expected = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    assert embedding[1].tolist() == pytest.approx(expected, abs=1e-6)


def test_init_torch_default_is_torchs() -> None:
    """The same largest weight and bias, in the limit of many, as a layer that torch initialises itself."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = nn.Conv2d(20, 200, 3)
    ours = build(lambda: nn.Conv2d(20, 200, 3), "cpu", init_torch_default, seeded())
    torch.testing.assert_close(ours.weight.abs().max(), theirs.weight.abs().max(), rtol=1e-3, atol=0)  # of 36,000
    torch.testing.assert_close(ours.bias.abs().max(), theirs.bias.abs().max(), rtol=0.05, atol=0)  # of 200


@pytest.mark.parametrize(("num_groups", "channels", "expected"), [(16, 48, 16), (16, 24, 8), (16, 3, 1)])
def test_groups_divide_the_channels(num_groups: int, channels: int, expected: int) -> None:
    """Narrow layers get fewer groups instead of an error."""
    assert GroupNorm(num_groups, channels).num_groups == expected


def test_attention_against_its_formula() -> None:
    """(x + proj(softmax(q k^T / sqrt(C)) v)) * skip_scale over pixels, written out; with proj at 0 only the skip."""
    layer = build(lambda: SelfAttention(6, 2, skip_scale=0.5), "cpu", init_torch_default, seeded())
    x = torch.randn(2, 6, 3, 4, generator=seeded())
    q, k, v = layer.qkv(layer.norm(x)).flatten(2).split(6, dim=1)  # (B, C, HW) each
    weights = (torch.einsum("bci,bcj->bij", q, k) / math.sqrt(6)).softmax(2)
    h = torch.einsum("bij,bcj->bci", weights, v).reshape(x.shape)
    torch.testing.assert_close(layer(x), (x + layer.proj(h)) * 0.5)
    fresh = build(lambda: SelfAttention(6, 2, skip_scale=0.5), "cpu", init_fan_avg, seeded())
    assert torch.equal(fresh(x), x * 0.5)


@pytest.mark.parametrize("p", [0.08, 0.12, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_drop(p: float, dtype: torch.dtype) -> None:
    """A share p is zero, the rest is scaled so that the mean is kept; the gradient goes the same way; reproducible."""
    x = torch.ones(500, 401, dtype=dtype, requires_grad=True)
    dropped = drop(x, p, seeded())
    assert torch.equal(dropped, drop(x, p, seeded()))
    assert dropped.dtype == dtype
    kept = dropped != 0
    assert (~kept).double().mean() == pytest.approx(p, abs=5 * (p * (1 - p) / x.numel()) ** 0.5)  # 5 standard errors
    scale = torch.tensor(65536 / (65536 - round(65536 * p))).to(dtype)
    assert float(scale) == pytest.approx(1 / (1 - p), rel=1e-4 if dtype == torch.float32 else 1e-2)
    assert torch.equal(dropped, torch.where(kept, scale, torch.zeros((), dtype=dtype)))
    (gradient,) = torch.autograd.grad(dropped.sum(), x)
    assert torch.equal(gradient, dropped)


def test_elements_are_dropped_independently() -> None:
    """Also the four that share a number of the generator, and those of the next numbers."""
    kept = (drop(torch.ones(4 * 50_000), 0.3, seeded()) != 0).double().reshape(-1, 8)
    torch.testing.assert_close(kept.T.corrcoef(), torch.eye(8).double(), rtol=0, atol=5 / len(kept) ** 0.5)


def test_no_dropout_is_the_identity() -> None:
    """Without a generator, and at p = 0; any number of elements otherwise."""
    x = torch.ones(3, 3)
    assert drop(x, 0.5, None) is x
    assert drop(x, 0.0, seeded()) is x
    for size in range(1, 6):
        assert drop(torch.ones(size), 0.5, seeded()).shape == (size,)


def test_at_precision() -> None:
    """float32 is the network itself; bfloat16 computes in it, and the result is float32 all the same."""
    network = build(lambda: nn.Linear(64, 64), "cpu", init_torch_default, seeded())
    x = torch.randn(8, 64, generator=seeded())
    with torch.no_grad():
        exact, half = at_precision(network, torch.float32)(x), at_precision(network, torch.bfloat16)(x)
        assert torch.equal(exact, network(x))
    assert half.dtype == torch.float32
    assert not torch.equal(half, exact)
    torch.testing.assert_close(half, exact, rtol=0, atol=0.03)  # bfloat16 has 8 bits
    assert network.weight.dtype == torch.float32


FROZEN: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "unet": (lambda: unet(2, attention=True), (torch.randn(3, 2, 7, 7, generator=seeded()), torch.tensor(0.3))),
    "decoder": (lambda: autoencoder().decoder, (torch.randn(3, 2, 7, 7, generator=seeded()),)),
    "mlp": (mlp, (torch.randn(3, 784, generator=seeded()), torch.tensor(0.3))),
}


@pytest.mark.parametrize("name", FROZEN)
def test_layers_cast_once_give_the_same_bits(name: str) -> None:
    """As autocast, which casts them at every call; and the same gradient with respect to the input (guidance)."""
    make_network, (x, *rest) = FROZEN[name]
    network = make_network().requires_grad_(False)

    def outputs() -> list[Tensor]:
        at = x.clone().requires_grad_(True)
        out = at_precision(network, torch.bfloat16)(at, *rest)
        return [out.detach(), *torch.autograd.grad(out.square().sum(), at)]

    expected = outputs()
    cast_frozen_layers(network, torch.bfloat16)
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert {value.dtype for layer in layers for value in layer.parameters()} == {torch.bfloat16}
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    assert {value.dtype for norm in norms for value in norm.parameters()} <= {torch.float32}
    assert all(torch.equal(*pair) for pair in zip(outputs(), expected, strict=True))


def test_layers_in_training_are_not_cast() -> None:
    """Adam moves float32 weights."""
    network = mlp()
    cast_frozen_layers(network, torch.bfloat16)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
