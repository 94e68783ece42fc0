"""The DDPM++ U-Net: sizes, parameter counts of the paper's networks, time, dropout and start."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support.unets import LATENT, PIXEL, count, data, make
from torch import Tensor

from ldmiss.diffusion.unet import RESAMPLING, SKIP_SCALE, ConvResample, ResBlock, UNet
from ldmiss.errors import InputError
from ldmiss.networks.layers import build, init_fan_avg, init_torch_default

SMALL = {**LATENT, "base_channels": 8, "num_res_blocks": 1, "dropout": 0.5, "num_groups": 4}


@pytest.mark.parametrize(
    ("config", "resampling", "mid", "expected"),
    [
        (PIXEL, "biggan", False, 11_029_633),
        (PIXEL, "biggan", True, 11_178_241),
        (PIXEL, "conv", False, 10_367_665),
        (PIXEL, "conv", True, 10_516_273),
        (LATENT, "biggan", False, 3_898_946),
        (LATENT, "biggan", True, 3_965_250),
        (LATENT, "conv", False, 3_643_650),
        (LATENT, "conv", True, 3_709_954),
    ],
)
def test_number_of_parameters(config: dict[str, Any], resampling: str, mid: bool, expected: int) -> None:
    """Pinned for the two networks of the paper's Table 1: a change of the architecture is a change of the method."""
    assert count(config | {"resampling": resampling, "mid_attention": mid}) == expected


def test_unknown_resampling_is_refused() -> None:
    """With the name of the argument, the value and what is allowed."""
    with pytest.raises(ValueError, match="resampling: unknown 'fir'; allowed: biggan, conv"):
        UNet(**SMALL | {"resampling": "fir"})


@pytest.mark.parametrize(("levels", "absent"), [([2], 2), ([0, 7], 7), ([-1], -1)])
def test_attention_never_vanishes(levels: list[int], absent: int) -> None:
    """A level that there is not is refused, with those that there are: the list is no wish."""
    with pytest.raises(InputError, match=rf"attention_levels: \[{absent}\] are no levels; allowed: 0 to 1"):
        UNet(**SMALL | {"attention_levels": levels})


@pytest.mark.parametrize("resampling", RESAMPLING)
@pytest.mark.parametrize("size", [(28, 28), (7, 7), (5, 5), (2, 3), (33, 20), (28, 23)])
@pytest.mark.parametrize("multipliers", [[1], [1, 2], [1, 2, 2]])
def test_output_has_the_shape_of_the_input(size: tuple[int, int], multipliers: list[int], resampling: str) -> None:
    """Even, odd and unequal sizes, one to three levels (7 -> 4 -> 2 and back up to 7)."""
    config = SMALL | {"channel_multipliers": multipliers, "attention_levels": [0]}
    config["resampling"] = resampling
    x = data(config, batch=2, size=size)
    output = make(config)(x, torch.tensor([0.1, 0.9]))
    assert output.shape == x.shape
    assert output.isfinite().all()


@pytest.mark.parametrize("resampling", RESAMPLING)
@pytest.mark.parametrize("mid", [True, False])
@pytest.mark.parametrize(("levels", "num_layers"), [([], 0), ([0], 2), ([0, 1], 4)])
def test_attention_is_where_it_is_asked_for(levels: list[int], num_layers: int, mid: bool, resampling: str) -> None:
    """After each block on the way down and once per level on the way up, and between the middle blocks or not."""
    config = SMALL | {"attention_levels": levels, "mid_attention": mid, "resampling": resampling}
    with torch.device("meta"):
        network = UNet(**config)
    found = [name for name, _ in network.named_modules() if name.endswith("qkv")]
    assert len(found) == num_layers + mid


def test_a_shared_time_is_every_rows_time() -> None:
    """t of shape () gives what the same t for each row gives; the time matters, and rows keep their own."""
    network, x = make(SMALL), data(SMALL)
    shared = network(x, torch.tensor(0.3))
    torch.testing.assert_close(network(x, torch.full((3,), 0.3)), shared)
    mixed = network(x, torch.tensor([0.3, 0.31, 0.3]))
    torch.testing.assert_close(mixed[[0, 2]], shared[[0, 2]])
    change = (mixed[1] - shared[1]).norm() / shared[1].norm()
    assert change > 0.02  # times .01 apart are told apart: .09 here, .0004 without the factor 999 on t


def test_dropout_needs_a_generator() -> None:
    """Without one the network is deterministic; with one, dropout is on and reproducible, in train and eval mode."""
    network, x, t = make(SMALL), data(SMALL), torch.tensor(0.3)
    plain = network(x, t)
    assert torch.equal(network.train()(x, t), plain)
    one, same, other = (network(x, t, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one, plain)


def test_starts_at_zero_output() -> None:
    """As in Song's code the last convolution starts at zero: the first prediction is zero noise."""
    network = make(PIXEL | {"base_channels": 16}, init_fan_avg)
    assert not network(data(PIXEL), torch.tensor(0.5)).any()


def test_residual_branches_start_as_identity() -> None:
    """A block with its second convolution at zero is its shortcut times 1/sqrt(2); down and up only resample it."""
    x, temb = torch.full((1, 4, 7, 7), 3.0), torch.zeros(1, 8)
    arguments: dict[str, Any] = {"time_channels": 8, "dropout": 0.0, "num_groups": 2}
    block = build(lambda: ResBlock(4, 4, **arguments), "cpu", init_fan_avg, torch.Generator())
    torch.testing.assert_close(block(x, temb, None), x * SKIP_SCALE)
    down = build(lambda: ResBlock(4, 4, **arguments, resample="down"), "cpu", init_fan_avg, torch.Generator())
    expected = down.shortcut(x[:, :, :4, :4]) * SKIP_SCALE  # a constant stays constant at the ragged edge, too
    torch.testing.assert_close(down(x, temb, None), expected)
    up = build(lambda: ResBlock(4, 4, **arguments, resample="up"), "cpu", init_fan_avg, torch.Generator())
    torch.testing.assert_close(up(x[:, :, :4, :4], temb, None, size=(7, 7)), up.shortcut(x) * SKIP_SCALE)


def test_resampling_by_convolution() -> None:
    """Down keeps every other pixel of the convolution, from the first on (7 -> 4); up repeats pixels before it."""
    x = data(LATENT)[:, :1].expand(3, 4, 7, 7)
    small, temb = x[:, :, ::2, ::2], torch.zeros(1, 8)
    down = build(lambda: ConvResample(4, resample="down"), "cpu", init_torch_default, torch.Generator())
    expected = F.conv2d(x, down.conv.weight, down.conv.bias, padding=1)[:, :, ::2, ::2]
    torch.testing.assert_close(down(x, temb, None), expected)
    up = build(lambda: ConvResample(4, resample="up"), "cpu", init_torch_default, torch.Generator())
    repeated = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(up(small, temb, None, size=(8, 8)), up.conv(repeated))
    nearest = torch.tensor([0, 0, 1, 1, 2, 2, 3])  # 4 -> 7
    torch.testing.assert_close(up(small, temb, None, size=(7, 7)), up.conv(small[:, :, nearest][..., nearest]))


def test_block_against_its_formula() -> None:
    """(shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))) + time(silu(temb)))))) / sqrt(2), each row its own time."""
    block = build(
        lambda: ResBlock(4, 6, time_channels=8, dropout=0.5, num_groups=2), "cpu", init_torch_default, torch.Generator()
    )
    x, temb = data(LATENT)[:, :1].expand(3, 4, 7, 7), torch.randn(3, 8, generator=torch.Generator().manual_seed(2))
    h = block.conv1(F.silu(block.norm1(x))) + block.time(F.silu(temb)).reshape(3, 6, 1, 1)
    expected = (block.shortcut(x) + block.conv2(F.silu(block.norm2(h)))) / 2**0.5
    torch.testing.assert_close(block(x, temb, None), expected)


def test_rows_do_not_see_their_batch_mates() -> None:
    """Group normalisation and attention stay within a row (float32: convolutions of another batch size round apart)."""
    network, x = make(LATENT), data(LATENT)
    t = torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(network(x[1:2], t[1:2]), network(x, t)[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("resampling", RESAMPLING)
def test_gradient_reaches_every_weight(resampling: str) -> None:
    """No layer is left out of the forward pass, and none is undone by the normalisation after it (but for rounding)."""
    network = make(SMALL | {"resampling": resampling}).requires_grad_(True)
    network(data(SMALL), torch.tensor([0.1, 0.5, 0.9])).square().sum().backward()
    norms = {name: float(p.grad.norm()) if p.grad is not None else 0.0 for name, p in network.named_parameters()}
    assert [name for name, norm in norms.items() if norm < 1e-6 * max(norms.values())] == []


@pytest.mark.parametrize(("num_groups", "expected"), [(1, True), (4, False)])
def test_the_order_in_memory_changes_nothing(num_groups: int, expected: bool) -> None:
    """With one group the activations lie channels last; outputs and gradients are the same to rounding."""
    config = {**SMALL, "num_groups": num_groups, "attention_levels": [], "mid_attention": False}
    network, x, t = make(config).requires_grad_(True), data(config), torch.tensor([0.1, 0.5, 0.9])
    assert network._channels_last == expected
    seen = []
    network.mid_in.conv2.register_forward_hook(lambda *seen_by: seen.append(seen_by[2]))

    def run() -> tuple[Tensor, ...]:
        network.zero_grad()
        eps = network(x, t)
        eps.square().sum().backward()
        return eps, *(parameter.grad for parameter in network.parameters())

    one = run()
    network._channels_last = not expected
    for mine, other in zip(one, run(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
    orders = [h.is_contiguous(memory_format=torch.channels_last) for h in seen]
    assert orders == [expected, not expected]
    assert all(value.is_contiguous() for value in network.state_dict().values())
    assert all(gradient.is_contiguous() for gradient in one[1:])  # Adam's kernel relies on the weights' order
