"""Diffusion models on incomplete images: fit, sample, impute, measure. Each name loads what it needs when used."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "errors": ["DivergenceError", "InputError"],
    "missingness.mechanisms": ["MECHANISMS", "draw_observed", "remove_missing"],
    "core.randomness": ["derive_seed", "numpy_generator"],
    "core.noise": ["RowNoise", "torch_generator"],
    "core.scaling": ["Scaler"],
    "training.loop": ["Recipe"],
    "autoencoding.encoder_input": ["EncoderInput"],
    "autoencoding.encoding": ["encode_images"],
    "autoencoding.codecs": ["LatentCodec", "PixelCodec", "latent_scale"],
    "diffusion.sde": ["VPSDE"],
    "fitting.vae": ["fit_vae"],
    "fitting.ldm": ["fit_ldm"],
    "fitting.ddpm": ["fit_ddpm"],
    "fitting.diffputer": ["EMSettings", "fit_diffputer"],
    "imputation.score_based": ["ScoreModel", "score_model"],
    "imputation.diffputer": ["DiffPuterModel"],
    "imputation.imputer": ["Imputer", "paste_observed"],
    "sampling.samplers": ["SAMPLERS"],
    "evaluation.pixel": ["errors_by_image", "mse"],
    "evaluation.uncertainty": ["calibration", "coverage", "crps"],
    "evaluation.reference": ["ReferenceMetrics"],
    "evaluation.measurement": ["Truth", "measure_generation", "measure_imputation"],
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'ldmiss' has no attribute {name!r}")
    return getattr(import_module(f"ldmiss.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
