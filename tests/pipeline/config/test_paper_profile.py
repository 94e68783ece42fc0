"""`profile=paper grid=paper` is the paper: Table 1, A.1 to A.3, read off the composed params and the built networks.

Exact parameter counts, for each kind of resampling and middle attention: tests/ldmiss/diffusion/test_unet.py, and
against diffusers in tests/ldmiss/diffusion/test_unet_against_diffusers.py.
"""

import copy
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from ldmiss.autoencoding import autoencoder
from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.classifier.network import Classifier
from ldmiss.diffputer.em import Sampling
from ldmiss.diffusion import unet
from ldmiss.diffusion.sde import VPSDE
from ldmiss.diffusion.unet import UNet
from ldmiss.networks.layers import SelfAttention
from ldmiss.sampling.samplers import num_evaluations
from ldmiss.sampling.time_grids import uniform_time_grid
from ldmiss.training.adam import BETAS, EPS
from ldmiss.training.loop import Recipe, Training
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.compose import composed

DOCUMENT = yaml.safe_load(composed(["profile=paper", "grid=paper"]))
PAPER = params.validate(DOCUMENT, "paper")
NETWORKS = {"ddpm": (PAPER.ddpm.network, (1, 28, 28)), "ldmiss": (PAPER.ldmiss.network, (2, 7, 7))}
WIDTHS = {"ddpm": [48, 96, 192], "ldmiss": [64, 128]}

STATED = {
    # A.2.3 and section 6.2: MCAR at these rates, zeros, half of the test pixels missing
    "grid.missing_rates": [0.0, 0.1, 0.3, 0.5, 0.6, 0.8], "missing.mechanism": "mcar", "missing.fill": "black",
    "missing.test_mechanism": "mcar", "missing.test_rate": 0.5, "dataset.name": "mnist",
    # A.2: seeds, Adam with batches of 256 for 50 epochs, and no other device named
    "grid.seeds": [42, 43, 44], "learning_rates": "paper", "inference": "exact",
    "vae.train.epochs": 50, "ldmiss.train.epochs": 50, "ddpm.train.epochs": 50,
    "vae.train.batch_size": 256, "ldmiss.train.batch_size": 256, "ddpm.train.batch_size": 256,
    "ldmiss.train.lr": 9.05e-5, "ddpm.train.lr": 1.96e-5,
    **{f"{model}.train.{key}": value for model in ("vae", "ldmiss", "ddpm")
       for key, value in {"lr_schedule": "constant", "ema_decay": None, "grad_clip": None, "early_stop": None}.items()},
    # A.2.1: schedule, 1000 steps, tau
    "diffusion.beta_min": 0.1, "diffusion.beta_max": 20.0, "diffusion.tau": 1e-3,
    "ldmiss.sample.num_steps": 1000, "ddpm.sample.num_steps": 1000,
    "ldmiss.sample.sampler": "euler_maruyama", "ddpm.sample.sampler": "euler_maruyama",
    "ldmiss.impute.guidance.num_steps": 1000, "ddpm.impute.guidance.num_steps": 1000,
    "ddpm.impute.replacement.num_steps": 1000, "ddpm.impute.replacement.num_resamples": 1,
    # Section 5: guidance of equal strength at all times, through decoder and score network
    **{f"{model}.impute.guidance.{key}": value for model in ("ldmiss", "ddpm")
       for key, value in {"sampler": "euler_maruyama", "weight": 1.0, "t_max": 1.0, "backprop_score": True}.items()},
    # Table 1
    "ddpm.network.base_channels": 48, "ldmiss.network.base_channels": 64,
    "ddpm.network.channel_multipliers": [1, 2, 4], "ldmiss.network.channel_multipliers": [1, 2],
    "ddpm.network.num_res_blocks": 3, "ldmiss.network.num_res_blocks": 2,
    "ddpm.network.attention_levels": [], "ldmiss.network.attention_levels": [0],
    "ddpm.network.dropout": 0.12, "ldmiss.network.dropout": 0.08,
    "ddpm.network.num_groups": 16, "ldmiss.network.num_groups": 16,
    # Eq. 2 and 3, section 4.1
    "ldmiss.loss.weighting": "simple", "ddpm.loss.weighting": "simple", "ddpm.loss.normalizer": "per_sample",
    # A.1.2 and A.2.2
    "vae.network.channel_multipliers": [1, 2, 4], "vae.network.latent_channels": 2, "vae.kl_weight": 1e-6,
    "vae.encoder_input": "faithful", "latents.scale": "global",
    # A.3 and Figure 3: 10,000 generated and imputed
    "sample.num_images": 10000, "impute.num_images": "all", "evaluate.fid_layer": "penultimate",
    # Ours: what uncertainty is measured on
    "impute.num_draws": 20, "impute.num_draw_images": 500,
    # Section 4.1: DiffPuter, by the recipe whose deviations docs/fidelity.md lists
    "diffputer.preset": "standard", "diffputer.network.hidden": 1024,
}  # fmt: skip
"""What the paper states, and our reading where it leaves the choice open, by params key."""


OF_THE_GRID = ("grid", "missing_rate", "seed", "train")


def value_of(key: str) -> Any:
    """The value of a dotted key of the composed document."""
    value: Any = DOCUMENT
    for part in key.split("."):
        value = value[part]
    return value


@pytest.mark.parametrize("key", STATED)
def test_stated_value(key: str) -> None:
    """Number by number, and of the same type."""
    assert value_of(key) == STATED[key]
    assert type(value_of(key)) is type(STATED[key])


def test_no_network_or_training_setting_of_the_score_models_is_left_out() -> None:
    """Every key of the score models' sections is stated above, but for what Table 1 is silent on."""
    silent = {"mid_attention", "resampling", "min_steps"}  # the last is null, and for small data sets
    for model in ("ldmiss", "ddpm"):
        found = {f"{model}.{part}.{key}" for part in ("network", "loss", "train", "sample") for key in
                 DOCUMENT[model][part] if key not in silent}  # fmt: skip
        assert found <= STATED.keys()


def test_adam_with_default_hyperparameters() -> None:
    """A.2: torch's Adam, betas and epsilon by default, no weight decay, at the sweep's constant learning rates."""
    for train, lr in ((PAPER.ddpm.train, 1.96e-5), (PAPER.ldmiss.train, 9.05e-5)):
        training = Training(nn.Linear(2, 1), Recipe(**train.model_dump()), num_items=60_000, seed=0)
        reference = copy.deepcopy(training.network)
        default = torch.optim.Adam(reference.parameters(), lr=lr)
        assert (default.defaults["betas"], default.defaults["eps"], default.defaults["weight_decay"]) == (BETAS, EPS, 0)
        for x in torch.randn(3, 2, generator=torch.Generator().manual_seed(0)):
            training._update(training.network(x).square().sum())
            default.zero_grad()
            reference(x).square().sum().backward()
            default.step()
            for one, other in zip(training.network.parameters(), reference.parameters(), strict=True):
                torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
        assert (training.steps_per_epoch, training.num_steps) == (235, 11_750)
        for step in (0, 11_749):
            training.step = step
            assert training._lr() == lr
        assert training.ema is None


def test_time_grid_and_schedule() -> None:
    """A.2.1: beta(t) from 0.1 to 20 (Eq. 7), T = 1000 steps, and the network is never asked below tau = 1e-3."""
    sde = VPSDE(PAPER.diffusion.beta_min, PAPER.diffusion.beta_max)
    assert sde.beta(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)).tolist() == pytest.approx([0.1, 10.05, 20.0])
    grid = uniform_time_grid(PAPER.ddpm.sample.num_steps, PAPER.diffusion.tau)
    assert len(grid) - 1 == 1000
    assert (float(grid[0]), float(grid[-2]), float(grid[-1])) == (1.0, pytest.approx(1e-3), 0.0)


def built(name: str) -> UNet:
    """The score network of a method, without memory."""
    network, shape = NETWORKS[name]
    with torch.device("meta"):
        return UNet(in_channels=shape[0], **network.model_dump())


def level_blocks(level: nn.Module) -> list[unet.ResBlock]:
    """The residual blocks of a level, those that resample apart."""
    return [block for block in level.get_submodule("blocks").children() if isinstance(block, unet.ResBlock)]


@pytest.mark.parametrize("name", NETWORKS)
def test_table_1_channels_and_blocks(name: str) -> None:
    """Base channels times multipliers per level; residual blocks per resolution, one more on the way up (DDPM++)."""
    network, widths, num_blocks = built(name), WIDTHS[name], NETWORKS[name][0].num_res_blocks
    assert network.conv_in.out_channels == widths[0]
    for levels, order, expected in ((network.down, widths, num_blocks), (network.up, widths[::-1], num_blocks + 1)):
        assert len(levels) == len(widths)
        for level, width in zip(levels, order, strict=True):
            blocks = level_blocks(level)
            assert len(blocks) == expected
            assert {block.conv2.out_channels for block in blocks} == {width}
    assert num_blocks == {"ddpm": 3, "ldmiss": 2}[name]
    assert (network.conv_in.in_channels, network.conv_out.out_channels) == {"ddpm": (1, 1), "ldmiss": (2, 2)}[name]


@pytest.mark.parametrize(("name", "dropout"), [("ddpm", 0.12), ("ldmiss", 0.08)])
def test_table_1_dropout_and_groups(name: str, dropout: float) -> None:
    """In every residual block, and 16 groups in every normalisation: no width forces another number."""
    network = built(name)
    blocks = [module for module in network.modules() if isinstance(module, unet.ResBlock)]
    assert {block.dropout for block in blocks} == {dropout}
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    assert len(norms) > 2 * len(blocks)
    assert {norm.num_groups for norm in norms} == {16}


def test_table_1_attention() -> None:
    """None in pixel space, the middle included; in latent space at 7, and nowhere at the 4 below it but the middle."""
    assert not [module for module in built("ddpm").modules() if isinstance(module, SelfAttention)]
    latent = built("ldmiss")
    attends = [[isinstance(module, SelfAttention) for module in level.attentions] for level in latent.down]
    assert attends == [[True, True], [False, False]]  # 7 x 7, then 4 x 4
    assert [isinstance(level.attention, SelfAttention) for level in latent.up] == [False, True]
    assert isinstance(latent.mid_attention, SelfAttention)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_1_1_timestep_embedding_and_rescaled_skips(name: str) -> None:
    """A.1.1: sinusoidal embedding of the width of the base channels, skip connections times 1/sqrt(2)."""
    network = built(name)
    assert network.time[0].in_features == WIDTHS[name][0]
    assert abs(unet.SKIP_SCALE - 2**-0.5) < 1e-12
    assert network.time[0].in_features == network.base_channels


def test_a_1_2_autoencoder() -> None:
    """1 x 28 x 28 -> 2 x 7 x 7 = 98 numbers, multipliers 1, 2, 4, residual blocks, and back; 16 groups throughout."""
    with torch.device("meta"):
        network = Autoencoder(size=(28, 28), in_channels=1, out_channels=1, **PAPER.vae.network.model_dump())
        encoded: Tensor = network.encoder(torch.empty(3, 1, 28, 28))
        mean, _ = encoded.chunk(2, dim=1)
        assert mean.shape == (3, 2, 7, 7)
        assert network.decoder(mean).shape == (3, 1, 28, 28)
    assert 28 * 28 / mean[0].numel() == 8  # 784 / 98; the paper's 785 is a misprint
    blocks = [module for module in network.encoder.modules() if isinstance(module, autoencoder.ResBlock)]
    base = PAPER.vae.network.base_channels
    assert sorted({block.conv2.out_channels for block in blocks}) == [base, 2 * base, 4 * base]
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    assert {norm.num_groups for norm in norms} == {16}
    assert not [module for module in network.modules() if isinstance(module, nn.Dropout)]


def test_a_1_3_classifier() -> None:
    """3 x 3 convolutions of 32 and 64 channels, max pooling after them, fully connected layers over 64 hidden units."""
    with torch.device("meta"):
        network = Classifier(shape=(1, 28, 28), num_classes=10)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    assert [(conv.out_channels, conv.kernel_size) for conv in convolutions] == [(32, (3, 3)), (64, (3, 3))]
    assert [layer.out_features for layer in linear] == [64, 10]
    assert linear[0].in_features == 64 * 12 * 12  # 28 - 2 - 2, halved by the pooling


def test_recipes() -> None:
    """`learning_rates=paper` leaves those of A.2 alone; `tuned` has the same budget at another rate, averaged."""
    tuned = params.validate(yaml.safe_load(composed(["profile=paper", "learning_rates=tuned"])), "tuned")
    for one, other in ((PAPER.ddpm.train, tuned.ddpm.train), (PAPER.ldmiss.train, tuned.ldmiss.train)):
        assert (other.lr, other.ema_decay, other.grad_clip) == (2e-4, 0.999, 1.0)
        assert other.lr > one.lr
        assert (one.epochs, one.batch_size) == (other.epochs, other.batch_size)


def test_protocols() -> None:
    """`inference=fast` changes samplers and steps of generation and guidance, to at least 25 and 8 times fewer."""
    document = yaml.safe_load(composed(["profile=paper", "inference=fast"]))
    fast = params.validate(document, "fast")
    for model, exact in ((fast.ldmiss, PAPER.ldmiss), (fast.ddpm, PAPER.ddpm)):
        for few, many, ratio in (
            (model.sample, exact.sample, 25), (model.impute.guidance, exact.impute.guidance, 8)
        ):  # fmt: skip
            costs = [num_evaluations(section.sampler, section.num_steps) for section in (few, many)]
            assert ratio * costs[0] <= costs[1] == 1000
    for model in ("ldmiss", "ddpm"):
        kept = {"weight": 1.0, "t_max": 1.0, "backprop_score": True}.items()
        assert kept <= document[model]["impute"]["guidance"].items()
        document[model] |= {part: DOCUMENT[model][part] for part in ("sample", "impute")}
    assert {**document, "inference": "exact", **{key: DOCUMENT[key] for key in OF_THE_GRID}} == DOCUMENT


def test_reduced_protocol() -> None:
    """The paper's, but for samples in few steps, as in `fast`, 2,000 test images and no further draws."""
    reduced, fast = (yaml.safe_load(composed(["profile=paper", f"inference={name}"])) for name in ("reduced", "fast"))
    assert reduced["impute"] == {**DOCUMENT["impute"], "num_images": 2000, "num_draws": 1}
    for model in ("ldmiss", "ddpm"):
        assert reduced[model]["sample"] == fast[model]["sample"]
        assert {**reduced[model], "sample": DOCUMENT[model]["sample"]} == DOCUMENT[model]
        reduced[model] = DOCUMENT[model]
    kept = {key: DOCUMENT[key] for key in ("impute", "complete", "inference", *OF_THE_GRID)}
    assert {**reduced, **kept} == DOCUMENT


@pytest.mark.parametrize("name", ["quick", "standard", "official"])
def test_diffputer_recipes(name: str) -> None:
    """Each is valid; the authors' settings are in `official` alone."""
    diffputer = params.validate(yaml.safe_load(composed(["profile=paper", f"diffputer={name}"])), name).diffputer
    assert diffputer.preset == name
    em, e_step = diffputer.em, diffputer.em.e_step
    found = (em.num_iterations, em.train_first.epochs, e_step.num_trials, e_step.num_steps, e_step.num_resamples)
    assert (found == (10, 10_001, 20, 50, 20)) == (name == "official")
    assert em.warm_start == (name != "official")


def test_diffputer_standard_recipe_is_the_one_described() -> None:
    """As docs/fidelity.md has it: 241 evaluations a draw in the E-step, 5 draws, 4 iterations, 17,700 steps first."""
    settings = PAPER.diffputer
    em, e_step = settings.em, settings.em.e_step
    assert Sampling(e_step.num_steps, e_step.num_resamples).num_evaluations() == 241
    assert (e_step.num_trials, em.num_iterations) == (5, 4)
    assert em.train_first.epochs * -(-60_000 // em.train_first.batch_size) == 17_700
    authors = Sampling(50, 20).num_evaluations() * 20
    assert authors / (241 * e_step.num_trials) == pytest.approx(32.5, abs=0.1)
