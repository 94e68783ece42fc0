"""Public functions refuse what they cannot use, at the door and in one line; missing values may be anything."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support import fits, small_models
from torch import Tensor

import ldmiss
from ldmiss.classifier.network import Classifier
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.diffputer.em import Sampling
from ldmiss.errors import InputError
from ldmiss.networks.layers import build, init_torch_default

IMAGES = torch.randint(0, 256, (10, 1, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
OBSERVED = torch.rand(IMAGES.shape, generator=torch.Generator().manual_seed(1)) < 0.5
X = IMAGES / 255
LATENTS = torch.randn(10, 2, 7, 7, generator=torch.Generator().manual_seed(2))
LABELS = torch.arange(10)
DATA = fits.Data(X, OBSERVED, LATENTS, LABELS)
GREY, KNOWN = IMAGES.numpy(), OBSERVED.numpy()
UNIT, DRAWS, TRUTH = X.numpy(), np.random.default_rng(0).random((6, 3)), np.linspace(0, 1, 6)
ROWS = np.arange(10)


def noise(num_rows: int = 10) -> ldmiss.RowNoise:
    return ldmiss.RowNoise(0, torch.arange(num_rows))


def half(x_obs: Tensor, observed: Tensor, noise: ldmiss.RowNoise, saved: SavedSteps) -> Tensor:
    """An imputer's guess: grey everywhere, or what another case is given."""
    return torch.full((len(x_obs), 1, 28, 28), 0.5)


def fit(name: str, **changes: Any) -> Any:
    """A fit of `support.fits` on changed data."""
    return fits.FITS[name](dataclasses.replace(DATA, **changes), fits.NO_CHECKPOINT)


def reference(**changes: Any) -> ldmiss.ReferenceMetrics:
    classifier = build(
        lambda: Classifier(shape=(1, 28, 28), num_classes=10), "cpu", init_torch_default, torch.Generator()
    )
    arguments = {"images": UNIT, "labels": LABELS.numpy(), "layer": "penultimate", "seed": 0} | changes
    return ldmiss.ReferenceMetrics(classifier, **arguments)


def measured(**changes: Any) -> Any:
    arguments = {
        "completed": UNIT, "rows": ROWS, "subset": ROWS[:4], "draws": np.repeat(UNIT[:4, None], 3, 1),
        "truth": ldmiss.Truth(UNIT, ~KNOWN), "reference": reference(), "seed": 0,
    }  # fmt: skip
    return ldmiss.measure_imputation(**(arguments | changes))


IMPUTE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Imputer": lambda x, observed: ldmiss.Imputer(half, stochastic=False)(x, observed, noise()),
    "impute_by_guidance": lambda x, observed: small_models.ldmiss().impute_by_guidance(
        x, observed, noise(), num_steps=2
    ),
    "impute_by_replacement": lambda x, observed: small_models.ddpm().impute_by_replacement(
        x, observed, noise(), num_steps=2
    ),
    "impute_by_moment_matching": lambda x, observed: small_models.ldmiss().impute_by_moment_matching(
        x, observed, noise(), num_steps=2
    ),
    "LatentPosterior.impute": lambda x, observed: small_models.posterior().impute(
        x, observed, noise(), noise_sd=0.1, residual=small_models.residual()
    ),
    "LatentPosterior.decode_draw": lambda x, observed: small_models.posterior().decode_draw(
        x, observed, noise(), noise_sd=0.1
    ),
    "ConditionalModel.impute": lambda x, observed: small_models.conditional().impute(
        x, observed, noise(), num_steps=2
    ),
    "RegressionModel.impute_mean": lambda x, observed: small_models.regression().impute_mean(x, observed, noise()),
    "RegressionModel.impute_draw": lambda x, observed: small_models.regression().impute_draw(x, observed, noise()),
    "MIWAEModel.impute_mean": lambda x, observed: small_models.miwae().impute_mean(
        x, observed, noise(), num_samples=2
    ),
    "MIWAEModel.impute_draw": lambda x, observed: small_models.miwae().impute_draw(
        x, observed, noise(), num_samples=2
    ),
    "DiffPuterModel.impute": lambda x, observed: small_models.diffputer().impute(
        x, observed, noise(), sampling=Sampling(2, 1)
    ),
}  # fmt: skip
"""Every way to complete images."""

BAD_X: list[tuple[Tensor, Tensor, str]] = [
    (X[:, 0], OBSERVED[:, 0], "x_obs: float32 (10, 28, 28); allowed: float32 (B, C, H, W)"),
    (X[:, 0], OBSERVED, "x_obs: float32 (10, 28, 28); allowed: float32 (B, C, H, W)"),
    (X, OBSERVED[:, 0], "observed: bool (10, 28, 28); allowed: bool (10, 1, 28, 28)"),
    (X, OBSERVED[:1], "observed: bool (1, 1, 28, 28); allowed: bool (10, 1, 28, 28)"),
    (X, OBSERVED.float(), "observed: float32 (10, 1, 28, 28); allowed: bool (10, 1, 28, 28)"),
    (IMAGES, OBSERVED, "x_obs: uint8 (10, 1, 28, 28); allowed: float32 (B, C, H, W)"),
    (X.double(), OBSERVED, "x_obs: float64 (10, 1, 28, 28); allowed: float32"),
    (X[:0], OBSERVED[:0], "x_obs: float32 (0, 1, 28, 28); allowed: float32 (B, C, H, W)"),
    (X.expand(10, 3, 28, 28), OBSERVED, "observed: bool (10, 1, 28, 28); allowed: bool (10, 3, 28, 28)"),
    (X / 0, OBSERVED, "x_obs: NaN or infinite at the pixels that count; allowed: finite values"),
    (X.where(~OBSERVED, float("nan")), OBSERVED, "x_obs: NaN or infinite at the pixels that count"),
]  # fmt: skip


def refuses(message: str, call: Callable[[], Any]) -> None:
    """An `InputError` of one line that begins so."""
    with pytest.raises(InputError, match=f"^{re.escape(message)}") as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", IMPUTE)
@pytest.mark.parametrize(("x", "observed", "message"), BAD_X, ids=[message[:60] for *_, message in BAD_X])
def test_images_to_complete(name: str, x: Tensor, observed: Tensor, message: str) -> None:
    """Never broadcast, never taken in another range."""
    refuses(message, lambda: IMPUTE[name](x, observed))


@pytest.mark.parametrize("name", IMPUTE)
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), -7.0, 255.0])
def test_missing_values_may_be_anything(name: str, garbage: float) -> None:
    """They are accepted, and change no bit of the result."""
    expected = IMPUTE[name](torch.where(OBSERVED, X, 0.0), OBSERVED)
    completed = IMPUTE[name](torch.where(OBSERVED, X, garbage), OBSERVED)
    assert torch.equal(torch.where(OBSERVED, 0.0, completed), torch.where(OBSERVED, 0.0, expected))
    assert completed.isfinite().all() or name == "DiffPuterModel.impute"  # whose caller pastes the observed


@pytest.mark.parametrize("name", [name for name in IMPUTE if name != "Imputer"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 14, 14), (1, 32, 32), (1, 28, 27), (3, 28, 28)])
def test_images_of_another_shape_than_the_models(name: str, shape: tuple[int, int, int]) -> None:
    """Also those that would be broadcast."""
    x = torch.full((10, *shape), 0.5)
    given = " x ".join(map(str, shape))
    refuses(f"x_obs: images of {given}; allowed: 1 x 28 x 28, the model's", lambda: IMPUTE[name](x, x > 0))


OF_IMAGES = ("vae", "ddpm", "regression", "conditional", "posterior", "miwae", "em_diffusion", "baselines")
BAD_FITS: list[tuple[str, dict[str, Any], str]] = [
    *[(name, {"images": X[..., :7], "observed": OBSERVED[..., :7]}, "images: 28 x 7 pixels; allowed: at least 8 x 8")
      for name in OF_IMAGES],
    *[(name, {"images": IMAGES}, "images: uint8 (10, 1, 28, 28); allowed: float32 (B, C, H, W)") for name in OF_IMAGES],
    *[(name, {"images": X[:0], "observed": OBSERVED[:0]}, "images: float32 (0, 1, 28, 28)") for name in OF_IMAGES],
    *[(name, {"images": X.expand(10, 3, 28, 28)}, "observed: bool (10, 1, 28, 28); allowed: bool (10, 3, 28, 28)")
      for name in OF_IMAGES],
    *[(name, {"images": X / 0}, "images: NaN or infinite at the pixels that count") for name in OF_IMAGES],
    *[(name, {"observed": OBSERVED.float()}, "observed: float32 (10, 1, 28, 28); allowed: bool (10, 1, 28, 28)")
      for name in OF_IMAGES],
    *[(name, {"observed": OBSERVED[:9]}, "observed: bool (9, 1, 28, 28); allowed: bool (10, 1, 28, 28)")
      for name in OF_IMAGES],
    *[(name, {"observed": torch.zeros_like(OBSERVED)}, "observed: no pixel of any image is observed")
      for name in OF_IMAGES],
    ("ldmiss", {"latents": LATENTS[0]}, "latents: float32 (2, 7, 7); allowed: float32 (N, C, h, w)"),
    ("ldmiss", {"latents": LATENTS.double()}, "latents: float64 (10, 2, 7, 7)"),
    ("ldmiss", {"latents": LATENTS / 0}, "latents: NaN or infinite; allowed: finite values"),
    ("ldmiss", {"latents": LATENTS[:0]}, "latents: float32 (0, 2, 7, 7)"),
    ("classifier", {"images": IMAGES[..., :5]}, "images: 28 x 5; allowed: at least 6 x 6"),
    ("classifier", {"images": IMAGES[:0], "labels": LABELS[:0]}, "images: uint8 (0, 1, 28, 28)"),
    ("classifier", {"labels": LABELS[:9]}, "labels: int64 (9,); allowed: int64 (10,)"),
    ("classifier", {"labels": LABELS + 1}, "labels: values outside [0, 9]"),
    ("diffputer", {"observed": OBSERVED.float()}, "observed: float32 (10, 784); allowed: bool (10, 784)"),
    ("diffputer", {"observed": OBSERVED[:, :, :14]}, "observed: bool (10, 392); allowed: bool (10, 784)"),
    ("diffputer", {"images": X[:0], "observed": OBSERVED[:0]}, "rows: float32 (0, 784); allowed: float32 (N, d)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "message"), BAD_FITS, ids=[f"{n}-{m[:50]}" for n, _, m in BAD_FITS])
def test_data_to_fit_to(name: str, changes: dict[str, Any], message: str) -> None:
    """Shapes, dtypes, and sets that hold nothing."""
    refuses(message, lambda: fit(name, **changes))


def test_rows_to_fit_to() -> None:
    """DiffPuter's rows are finite where observed; at missing entries they may be NaN (`test_fits` for the images)."""
    rows, observed = X.flatten(1), OBSERVED.flatten(1)
    refuses("rows: NaN or infinite", lambda: ldmiss.fit_diffputer(rows / 0, observed, settings=fits.EM, seed=0))
    refuses("rows: float64 (10, 784)", lambda: ldmiss.fit_diffputer(rows.double(), observed, settings=fits.EM, seed=0))
    weights = [
        ldmiss.fit_diffputer(torch.where(observed, rows, value), observed, settings=fits.EM, seed=0).weights
        for value in (0.0, float("nan"))
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def ddpm(**changes: Any) -> Any:
    network = {"base_channels": 4, "channel_multipliers": [1], "num_res_blocks": 1, "attention_levels": [],
               "mid_attention": False, "dropout": 0.0, "num_groups": 2, "resampling": "biggan"}  # fmt: skip
    return ldmiss.fit_ddpm(X, OBSERVED, network=network, recipe=fits.COSINE, seed=0, **changes)


BAD_ARGUMENTS: list[tuple[str, Callable[[], Any]]] = [
    ("tau: 0; allowed: a finite number, above 0, below 1", lambda: ddpm(tau=0)),
    ("weighting: unknown 'none'; allowed: simple, likelihood", lambda: ddpm(weighting="none")),
    ("normalizer: unknown 'sum'; allowed: per_sample, batch", lambda: ddpm(normalizer="sum")),
    ("fill: unknown 'pink'; allowed: black, grey, mean", lambda: ddpm(fill="pink")),
    ("value_range: unknown '255'; allowed: symmetric, unit", lambda: ddpm(value_range="255")),
    ("epochs: 0; allowed: a whole number, at least 1", lambda: ldmiss.Recipe(0, 1, 0.1)),
    ("batch_size: 1.5; allowed", lambda: ldmiss.Recipe(1, 1.5, 0.1)),
    ("lr: nan; allowed: a finite number, at least 0", lambda: ldmiss.Recipe(1, 1, float("nan"))),
    ("lr_schedule: unknown 'step'; allowed: constant, cosine", lambda: ldmiss.Recipe(1, 1, 0.1, "step")),
    ("ema_decay: 1.0; allowed", lambda: ldmiss.Recipe(1, 1, 0.1, ema_decay=1.0)),
    ("beta_min: 0; allowed: a finite number, above 0", lambda: ldmiss.VPSDE(0, 20)),
    ("beta_max: 0.05; allowed: a finite number, above 0.1", lambda: ldmiss.VPSDE(0.1, 0.05)),
    ("num_trials: 0", lambda: dataclasses.replace(fits.EM, num_trials=0)),
    ("num_steps: 1; allowed: a whole number, at least 2", lambda: Sampling(1, 1)),
    ("value_range: unknown 'x'", lambda: ldmiss.EncoderInput(torch.zeros(1, 1, 1), "x", robust=False)),
    ("fill: NaN or infinite", lambda: ldmiss.EncoderInput(torch.full((1, 1, 1), float("inf")), "unit", robust=False)),
    ("shape: (28, 28); allowed: (channels, height, width)", lambda: ldmiss.PixelCodec((28, 28), "unit")),
    ("value_range: unknown 'x'", lambda: ldmiss.PixelCodec((1, 28, 28), "x")),
    ("scale: float32 (1,); allowed: float32 (1, 1, 1)",
     lambda: ldmiss.LatentCodec((2, 7, 7), torch.nn.Identity(), torch.ones(1), "unit")),
    ("kind: unknown 'max'", lambda: ldmiss.latent_scale(LATENTS, "max")),
    ("latents: float32 (10, 98); allowed: float32 (N, C, h, w)",
     lambda: ldmiss.latent_scale(LATENTS.flatten(1), "global")),
    ("latents: all of one value", lambda: ldmiss.latent_scale(torch.ones(3, 2, 7, 7), "per_channel")),
    ("mechanism: unknown 'clouds'", lambda: ldmiss.draw_observed("clouds", GREY, 0.5, ldmiss.numpy_generator(0))),
    ("images: uint8 (10, 28, 28); allowed: uint8 or uint16",
     lambda: ldmiss.draw_observed("mcar", GREY[:, 0], 0.5, ldmiss.numpy_generator(0))),
    ("images: bool (10, 1, 28, 28); allowed: uint8 or uint16", lambda: ldmiss.remove_missing(KNOWN, KNOWN)),
    ("observed: bool (9, 1, 28, 28); allowed: bool (10, 1, 28, 28)", lambda: ldmiss.remove_missing(GREY, KNOWN[:9])),
    ("observed: bool (9, 1, 28, 28)", lambda: ldmiss.Scaler.fit(GREY, KNOWN[:9])),
    ("images: NaN or infinite at the pixels that count", lambda: ldmiss.Scaler.fit(UNIT / 0, KNOWN)),
    ("images: values whose squares no float64 holds", lambda: ldmiss.Scaler.fit(1e200 * UNIT.astype(float), KNOWN)),
    ("bounds: 3 to 3; allowed: two finite numbers, the smaller one first",
     lambda: ldmiss.Scaler.fit(GREY, KNOWN, (3, 3))),
    ("bounds: 0 to inf; allowed", lambda: ldmiss.Scaler.fit(GREY, KNOWN, (0, np.inf))),
    ("bounds: ", lambda: ldmiss.Scaler.fit(GREY, KNOWN, (0, 100))),
    ("seed: 1.5; allowed: an integer", lambda: ldmiss.derive_seed(1.5)),
    ("seed: 1.5", lambda: ldmiss.torch_generator("cpu", 1.5)),
    ("rows: float32 (2,); allowed: int64 (B,)", lambda: ldmiss.RowNoise(0, torch.zeros(2))),
    ("rows: values outside [0, 4.29497e+09]", lambda: ldmiss.RowNoise(0, torch.tensor([-1]))),
    ("draws: int64 (2,); allowed: int64 (3,)", lambda: ldmiss.RowNoise(0, torch.arange(3), torch.arange(2))),
    ("x: 3 rows; allowed: the 10 that this noise is for", lambda: noise()(torch.zeros(3, 4))),
    ("num_rows: 0", lambda: small_models.ddpm().generate(0, noise(), num_steps=2)),
    ("num_steps: 1; allowed: a whole number, at least 2",
     lambda: small_models.ddpm().generate(10, noise(), num_steps=1)),
    ("sampler: unknown 'ode'; allowed: euler_maruyama, heun",
     lambda: small_models.ddpm().generate(10, noise(), num_steps=2, sampler="ode")),
    ("num_steps: 1", lambda: small_models.diffputer().generate(10, noise(), num_steps=1)),
    ("weight: -1", lambda: small_models.ddpm().impute_by_guidance(X, OBSERVED, noise(), num_steps=2, weight=-1)),
    ("t_max: 0", lambda: small_models.ddpm().impute_by_guidance(X, OBSERVED, noise(), num_steps=2, t_max=0)),
    ("x_hat: float32 (10, 28, 28); allowed: float32 (10, 1, 28, 28)",
     lambda: ldmiss.paste_observed(X, OBSERVED, X[:, 0])),
    ("x_hat: float32 (1, 1, 28, 28); allowed", lambda: ldmiss.paste_observed(X, OBSERVED, X[:1])),
    ("source: unknown 'mode'", lambda: encoded(source="mode")),
    ("images: uint8 (10, 1, 28, 28); allowed: float32 (B, C, H, W)", lambda: encoded(IMAGES)),
    ("x_hat: float32 (9, 1, 28, 28); allowed: float16 or float32 or float64 (10, 1, 28, 28)",
     lambda: ldmiss.errors_by_image(UNIT[:9], UNIT, KNOWN)),
    ("x_hat: NaN or infinite at the pixels that count", lambda: ldmiss.errors_by_image(UNIT * np.nan, UNIT, KNOWN)),
    ("scored: float64 (10, 1, 28, 28); allowed: bool", lambda: ldmiss.errors_by_image(UNIT, UNIT, KNOWN.astype(float))),
    ("counts: float64 (5,); allowed: float64 (6,)", lambda: ldmiss.mse(TRUTH, TRUTH[:5])),
    *[(message, lambda measure=measure, change=change: measure(*change))
      for measure in (ldmiss.crps, ldmiss.coverage, ldmiss.calibration)
      for message, change in (
          ("truth: float64 (5,); allowed: float64 (6,)", (DRAWS, TRUTH[:5])),
          ("draws: float64 (6,); allowed: float64 (M, K)", (DRAWS[:, 0], TRUTH)),
          ("draws: 1 per pixel; allowed: at least 2", (DRAWS[:, :1], TRUTH)),
          ("draws: float64 (0, 3)", (DRAWS[:0], TRUTH[:0])),
          ("draws: NaN or infinite", (DRAWS * np.inf, TRUTH)),
      )],
    ("images: uint8 (10, 1, 28, 28); allowed: float16 or float32 or float64 (M, C, H, W)",
     lambda: reference(images=GREY)),
    ("images: values outside [0, 1]", lambda: reference(images=2 * UNIT)),
    ("labels: int64 (9,); allowed: int64 (10,)", lambda: reference(labels=ROWS[:9])),
    ("layer: unknown 'conv1'; allowed: penultimate, pre_relu, logits", lambda: reference(layer="conv1")),
    ("images: a single one", lambda: reference(images=UNIT[:1], labels=ROWS[:1])),
    ("samples: float32 (10, 1, 14, 28); allowed: float16 or float32 or float64 (N, 1, 28, 28)",
     lambda: ldmiss.measure_generation(reference(), UNIT[:, :, :14])),
    ("samples: values outside [0, 1]", lambda: ldmiss.measure_generation(reference(), 255 * UNIT)),
    ("samples: a single one, whose features have no covariance",
     lambda: ldmiss.measure_generation(reference(), UNIT[:1])),
    ("completed: NaN or infinite; allowed: finite", lambda: measured(completed=UNIT * np.nan)),
    ("completed: values outside [0, 1]", lambda: measured(completed=2 * UNIT)),
    ("rows: None; allowed with a reference", lambda: measured(rows=None)),
    ("rows: values outside [0, 9]", lambda: measured(rows=ROWS + 1)),
    ("subset: values outside [0, 9]", lambda: measured(subset=ROWS[:4] - 1)),
    ("draws: float32 (3, 3, 1, 28, 28); allowed", lambda: measured(draws=np.repeat(UNIT[:3, None], 3, 1))),
    ("scored: bool (9, 1, 28, 28); allowed: bool (10, 1, 28, 28)", lambda: ldmiss.Truth(UNIT, KNOWN[:9])),
    ("truth: NaN or infinite at the pixels that count", lambda: ldmiss.Truth(UNIT / 0, KNOWN)),
]  # fmt: skip


def encoded(images: Tensor = X, **changes: Any) -> Tensor:
    encoder_input = ldmiss.EncoderInput(torch.zeros(1, 1, 1), "symmetric", robust=False)
    encoder = small_models.autoencoder().encoder
    return ldmiss.encode_images(encoder, images, OBSERVED, encoder_input=encoder_input, **changes)


@pytest.mark.parametrize(("message", "call"), BAD_ARGUMENTS, ids=[message[:60] for message, _ in BAD_ARGUMENTS])
def test_arguments(message: str, call: Callable[[], Any]) -> None:
    """Everything else that `ldmiss` exports."""
    refuses(message, call)


def test_what_is_allowed_is_taken() -> None:
    """The same calls with good arguments: the checks refuse no use."""
    assert measured()[0]["mse"] == 0
    assert ldmiss.measure_generation(reference(), UNIT)["fid"] == pytest.approx(0, abs=1e-4)
    assert torch.equal(ldmiss.paste_observed(X.flatten(1), OBSERVED.flatten(1), X.flatten(1)), X.flatten(1))
    assert encoded().shape == (10, 2, 7, 7)
    assert ldmiss.derive_seed(np.int64(2**53 + 1)) == ldmiss.derive_seed(2**53 + 1) != ldmiss.derive_seed(2**53)
    recipe = ldmiss.Recipe(np.int64(2), 16, np.float32(0.1))
    assert (recipe.epochs, recipe.batch_size) == (2, 16)
