"""The benchmark's peers compute what ours does: the same losses, paths and operations from the same weights."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from support import bench_world
from torch import Tensor

from benchmarks import ours, rows_guidance, rows_training
from benchmarks.peers import diffputer as plain_diffputer
from benchmarks.peers import diffusers_loops as loops
from benchmarks.peers import guidance as plain
from benchmarks.peers.diffusers_models import (
    autoencoder_with_weights_of,
    latent_arguments,
    pixel_arguments,
    unet_with_weights_of,
)
from benchmarks.rows_diffputer import networks
from benchmarks.setting import Setting
from benchmarks.timing import Case, count_flop
from ldmiss.diffputer.edm import Preconditioned, edm_loss
from ldmiss.diffusion.losses import score_matching_loss
from ldmiss.diffusion.sde import VPSDE
from ldmiss.imputation.imputer import paste_observed
from ldmiss.sampling.guidance import self_guided_score
from ldmiss.sampling.samplers import euler_maruyama
from ldmiss.sampling.time_grids import uniform_time_grid

SETTING = bench_world.setting()
FP32 = torch.float32


def cosine(a: Tensor, b: Tensor) -> float:
    """Cosine of the angle between two gradients."""
    return float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0))


@pytest.mark.parametrize("space", ["pixel", "latent"])
def test_score_network_has_the_same_loss(space: str) -> None:
    """The same noise at times t = i / 999: equal but for the discrete schedule, half a step of 1/1000 away."""
    config = getattr(SETTING, f"{space}_config")()
    network = ours.unet(SETTING, config)
    arguments = pixel_arguments(config) if space == "pixel" else latent_arguments(config)
    model = unet_with_weights_of(network, arguments)
    clean, noise = torch.randn(2, 4, config["in_channels"], config["size"], config["size"]).unbind(0)
    timesteps = torch.tensor([30, 250, 600, 990])
    scheduler = DDPMScheduler(num_train_timesteps=loops.NUM_TIMESTEPS)

    def theirs(timesteps: Tensor) -> Tensor:
        return loops.noise_prediction_loss(model, scheduler, clean, noise, timesteps, FP32)

    own = score_matching_loss(network, VPSDE(), clean, timesteps / 999, noise).mean()
    assert float(theirs(timesteps).detach()) == pytest.approx(float(own.detach()), rel=5e-3)
    (expected,) = torch.autograd.grad(own, network.conv_in.weight)
    found = [torch.autograd.grad(theirs(timesteps.roll(i)), model.conv_in.weight)[0] for i in (0, 1)]
    assert cosine(found[0], expected) > 0.999
    assert cosine(found[1], expected) < 0.99  # the times matter


def test_autoencoder_has_the_same_loss() -> None:
    """With everything observed and the same noise: their modules give our objective."""
    network, x = ours.autoencoder(SETTING), SETTING.normal(2, 1, 28, 28).clamp(-1, 1)
    model = autoencoder_with_weights_of(network, ours.vae_config(SETTING))
    images = (x + 1) / 2
    loss_of = everything_observed(network, images)
    own = loss_of(torch.arange(2), torch.Generator().manual_seed(3))
    kl_weight = SETTING.params.vae.kl_weight
    theirs = loops.autoencoder_loss(model, x, torch.Generator().manual_seed(3), kl_weight=kl_weight, dtype=FP32)
    other = loops.autoencoder_loss(model, x, torch.Generator().manual_seed(4), kl_weight=kl_weight, dtype=FP32)
    assert float(theirs.detach()) == pytest.approx(float(own.detach()), rel=1e-5)
    assert float(other.detach()) != pytest.approx(float(own.detach()), rel=1e-5)
    (expected,) = torch.autograd.grad(own, network.encoder[0].weight)
    (found,) = torch.autograd.grad(theirs, model.encoder.conv_in.weight)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def everything_observed(network: torch.nn.Module, images: Tensor) -> Callable[[Tensor, torch.Generator], Tensor]:
    """The benchmark's objective on these images."""
    setting = SETTING
    observed = torch.ones_like(images, dtype=torch.bool)
    patched = SimpleNamespace(
        incomplete=lambda num: (images, observed), sizes=setting.sizes, device=setting.device, params=setting.params
    )
    return ours.vae_loss(patched, network, FP32)  # type: ignore[arg-type]


@dataclass
class GaussianModel:
    """The exact noise prediction for data N(0, 0.25), as our network and as theirs."""

    dtype: torch.dtype = FP32

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        """Ours: t in [0, 1]."""
        alpha, sigma = VPSDE().marginal_prob(t)
        return sigma * x / (0.25 * alpha**2 + sigma**2)

    def __call__(self, x: Tensor, timesteps: Tensor) -> SimpleNamespace:
        """Theirs: timesteps of 999 t, an output with `sample`."""
        return SimpleNamespace(sample=self.eps(x, timesteps[0] / 999))


def test_samplers_take_the_same_path() -> None:
    """1000 steps of the same equation with the same noise, to the same data: so they sample the same law."""
    x, model, sde = torch.randn(64, 1, 2, 2, generator=torch.Generator().manual_seed(0)), GaussianModel(), VPSDE()

    def noise(seed: int) -> Callable[[Tensor], Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return lambda x: torch.randn(x.shape, generator=generator)

    def score(x: Tensor, t: Tensor) -> Tensor:
        return -model.eps(x, t) / sde.marginal_prob(t)[1]

    theirs = loops.sample_sde_vp(model, x, num_steps=1000, generator=torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    grid = uniform_time_grid(1000, ours.TAU)
    own, other = (euler_maruyama(score, sde, x, time_grid=grid, noise=noise(seed)) for seed in (1, 2))
    torch.testing.assert_close(theirs, own, atol=1e-3, rtol=1e-3)
    assert (theirs - other).abs().max() > 0.1
    assert float(theirs.std()) == pytest.approx(0.5, rel=0.1)  # and it is the data's


@pytest.mark.parametrize("with_vae", [False, True], ids=["pixel", "latent"])
def test_guided_scores_and_imputations_are_the_same(with_vae: bool) -> None:
    """From the same weights, and along a whole path with the same noise."""
    at_7 = {"size": 7, "resampling": "biggan"}
    config = SETTING.latent_config() | at_7 if with_vae else SETTING.pixel_config()
    network, vae = ours.unet(SETTING, config).eval(), ours.autoencoder(SETTING).eval() if with_vae else None
    model = ours.score_model(SETTING, network, FP32, config, vae)
    decoder = None if vae is None else vae.decoder
    images, observed = SETTING.incomplete(3)
    x_obs, mask, target = images, observed.float(), 2 * images - 1
    z = SETTING.normal(3, config["in_channels"], config["size"], config["size"])
    score = self_guided_score(model.denoiser, model.codec.decode, x_obs, observed)
    for t in (0.1, 0.8):
        own = score(z, torch.tensor(t))
        theirs = plain.guided_score(network, decoder, target, mask, z, torch.full((3,), t))
        torch.testing.assert_close(own, theirs, rtol=2e-3, atol=2e-3 * float(theirs.abs().max()))
        unguided = model.denoiser.score(z, torch.tensor(t))
        assert (theirs - unguided).norm() > 0.5 * unguided.norm()

    generator = torch.Generator().manual_seed(5)
    drawn = iter([z])

    def noise(x: Tensor) -> Tensor:
        first = next(drawn, None)
        return torch.randn(x.shape, generator=generator) if first is None else first

    own = paste_observed(x_obs, observed, model.impute_by_guidance(x_obs, observed, noise, num_steps=4))  # type: ignore[arg-type]
    theirs = plain.impute(
        network, decoder, target, mask, z, num_steps=4, tau=ours.TAU, generator=torch.Generator().manual_seed(5)
    )
    torch.testing.assert_close(own, ((theirs + 1) / 2).clamp(0, 1), atol=2e-3, rtol=0)


def test_training_steps_have_the_same_operations() -> None:
    """The same architecture: to the last multiplication, forward and backward, in both dtypes."""
    counts = {count_flop(timed.run) for timed in rows_training.pixel_unet(SETTING).timed.values()}
    assert len(counts) == 1
    assert counts.pop() > 1e6


@pytest.mark.parametrize("make", [rows_training.latent_unet, rows_training.vae])
def test_with_attention_only_its_backward_differs(make: Callable[[Setting], Case]) -> None:
    """Torch has two forms of it, one of which computes a product again: a seventh of these tiny networks in 2.11."""
    counts = [count_flop(timed.run) for timed in make(SETTING).timed.values()]
    assert max(counts) < 1.15 * min(counts)


@pytest.mark.parametrize("make", [rows_guidance.pixel, rows_guidance.latent])
def test_guidance_saves_no_operations_but_the_embeddings(make: Callable[[Setting], Case]) -> None:
    """The plain version differentiates to the input, too: what ours gains is not arithmetic."""
    timed = make(SETTING).timed
    own, theirs = (count_flop(timed[name].run) for name in ("ours float32", "plain float32"))
    assert 0.97 * theirs < own <= theirs


def test_diffputer_transcription_is_the_same_model_and_loss() -> None:
    """Denoiser and EDM loss from the same weights, at each row's own level and at one for all."""
    network, theirs = networks(SETTING, num_features=6)
    denoise = Preconditioned(network)
    x, noise = torch.randn(2, 5, 6).unbind(0)
    sigma = torch.tensor([0.01, 0.3, 1.0, 5.0, 60.0])
    torch.testing.assert_close(theirs(x, sigma), denoise(x, sigma), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(theirs(x, sigma[1:2]), denoise(x, sigma[1]), rtol=1e-4, atol=1e-5)
    own = edm_loss(denoise, x, sigma, noise).mean()
    step = plain_diffputer.MStep(theirs, x, batch_size=5)
    torch.testing.assert_close(step.loss(x, sigma, sigma[:, None] * noise), own, rtol=1e-4, atol=1e-6)
