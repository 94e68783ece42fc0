"""Sampling and imputing with a score model: exact laws, and independence of batch, chunk and missing values."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from support.exact import gaussian
from torch import Tensor

from ldmiss.autoencoding.codecs import LatentCodec, PixelCodec
from ldmiss.core.noise import RowNoise
from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.diffusion.sde import VPSDE
from ldmiss.diffusion.unet import UNet
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.networks.layers import build, init_torch_default
from ldmiss.sampling.samplers import SAMPLERS

SDE = VPSDE()
CPU = torch.device("cpu")
COVARIANCE = (0.02 * torch.eye(4) + 0.03).tolist()
LAW = gaussian([-0.3, 0.0, 0.1, 0.2], COVARIANCE)  # of 2 x 2 images in [-1, 1]
EXACT = ScoreModel(LAW.denoiser(SDE), PixelCodec((1, 2, 2), "symmetric"), CPU, 1e-3)
NETWORK: dict[str, Any] = {
    "in_channels": 1, "base_channels": 8, "channel_multipliers": [1, 2], "num_res_blocks": 1,
    "attention_levels": [1], "mid_attention": True, "resampling": "biggan", "dropout": 0.5, "num_groups": 4,
}  # fmt: skip
PIXELS = PixelCodec((1, 6, 6), "symmetric")
SCALE = torch.full((1, 1, 1), 2.0)
X = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(0))
OBSERVED = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(1)) < 0.5
ROWS = torch.tensor([7, 3, 100, 0, 42])


def model(latent: bool) -> ScoreModel:
    """A random U-Net, in pixel space or under a decoder that bends and mixes."""
    unet = build(lambda: UNet(**NETWORK), "cpu", init_torch_default, torch.Generator()).eval().requires_grad_(False)
    codec = LatentCodec((1, 6, 6), lambda z: (z + z.flip(-1)).tanh(), SCALE, "symmetric") if latent else PIXELS
    return ScoreModel(Denoiser(unet, SDE), codec, CPU, 1e-3)


def by_guidance(
    x_obs: Tensor, observed: Tensor, rows: Tensor, *, latent: bool = False, sampler: str = "euler_maruyama"
) -> Tensor:
    """Guided imputation of images numbered `rows`."""
    return model(latent).impute_by_guidance(x_obs, observed, RowNoise(0, rows), num_steps=6, sampler=sampler)


def by_replacement(x_obs: Tensor, observed: Tensor, rows: Tensor) -> Tensor:
    """Imputation by replacement."""
    return model(latent=False).impute_by_replacement(x_obs, observed, RowNoise(0, rows), num_steps=6)


IMPUTE: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "guidance through a decoder": partial(by_guidance, latent=True),
    "replacement": by_replacement,
    **{f"guidance, {sampler}": partial(by_guidance, sampler=sampler) for sampler in SAMPLERS},
}


@pytest.mark.parametrize("impute", IMPUTE.values(), ids=list(IMPUTE))
def test_imputations_do_not_depend_on_the_batch(impute: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Images imputed one by one are those imputed together (float32: other batch sizes round apart)."""
    together = impute(X, OBSERVED, ROWS)
    assert together.shape == X.shape
    for i in range(len(X)):
        alone = impute(X[i : i + 1], OBSERVED[i : i + 1], ROWS[i : i + 1])
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(impute(X[:1], OBSERVED[:1], ROWS[1:2]), together[:1], atol=1e-2)  # another row's noise


@pytest.mark.parametrize("impute", IMPUTE.values(), ids=list(IMPUTE))
def test_missing_values_never_enter(impute: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """With NaN behind every missing pixel the imputations are the same bit for bit, and without NaN."""
    hidden = impute(torch.where(OBSERVED, X, float("nan")), OBSERVED, ROWS)
    assert torch.equal(hidden, impute(X, OBSERVED, ROWS))
    assert hidden.isfinite().all()


def test_replacement_returns_the_observation() -> None:
    """The state at t = 0 holds the observed values (up to the change of range; the Imputer pastes exactly)."""
    torch.testing.assert_close(by_replacement(X, OBSERVED, ROWS)[OBSERVED], X[OBSERVED])


def test_replacement_starts_from_the_noised_observation() -> None:
    """At t = 1 the known pixels are alpha x_0 + sigma eps already, not plain noise (unlike Song's inpainter)."""
    states = []

    def eps_fn(x_t: Tensor, t: Tensor) -> Tensor:
        states.append(x_t)
        return x_t

    starting = ScoreModel(Denoiser(eps_fn, SDE), PIXELS, CPU, 1e-3)
    starting.impute_by_replacement(X, OBSERVED, RowNoise(0, ROWS), num_steps=2)
    noise = RowNoise(0, ROWS)
    prior, known = noise(X), SDE.perturb(2 * X - 1, torch.tensor(1.0), noise(X))
    torch.testing.assert_close(states[0], torch.where(OBSERVED, known, prior))


def test_replacement_needs_pixels() -> None:
    """In latent space there are no missing dimensions to replace (paper section 5)."""
    with pytest.raises(ValueError, match="pixel space"):
        model(latent=True).impute_by_replacement(X, OBSERVED, RowNoise(0, ROWS), num_steps=6)


def test_generated_images_have_the_models_law() -> None:
    """Mean and covariance of 4000 samples in [0, 1] units are those of the Gaussian (4 standard errors).

    The added 0.001 is the discretisation error of 200 steps.
    """
    images = EXACT.generate(4000, RowNoise(0, torch.arange(4000)), num_steps=200)
    assert images.shape == (4000, 1, 2, 2)
    flat, variance = images.flatten(1).double(), 0.05 / 4
    expected = (LAW.mean() + 1) / 2
    torch.testing.assert_close(flat.mean(0), expected, rtol=0, atol=4 * (variance / 4000) ** 0.5 + 1e-3)
    torch.testing.assert_close(flat.T.cov(), LAW.covariance() / 4, rtol=0, atol=4 * variance * (2 / 4000) ** 0.5 + 1e-3)


def test_generated_images_do_not_depend_on_the_batch() -> None:
    """Image i is a function of its number."""
    together = EXACT.generate(3, RowNoise(5, torch.arange(3)), num_steps=10)
    alone = EXACT.generate(1, RowNoise(5, torch.tensor([2])), num_steps=10)
    torch.testing.assert_close(alone, together[2:], rtol=1e-5, atol=1e-5)


def test_guidance_comes_nearer_to_the_observation() -> None:
    """With the exact score, guided images agree with the observed pixels better than unconditional ones do."""
    x_obs = torch.tensor([0.9, 0.9, 0.0, 0.0]).reshape(1, 1, 2, 2).expand(500, 1, 2, 2)
    observed = torch.tensor([True, True, False, False]).reshape(1, 1, 2, 2).expand(500, 1, 2, 2)
    errors = {}
    for weight in (0.0, 1.0):
        noise = RowNoise(0, torch.arange(500))
        x_hat = EXACT.impute_by_guidance(x_obs, observed, noise, num_steps=100, weight=weight)
        errors[weight] = float((x_hat - x_obs)[observed].square().mean())
    assert errors[1.0] < 0.1 * errors[0.0]
