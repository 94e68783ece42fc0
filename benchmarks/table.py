"""The rows of the benchmark. To add one: a function that makes a `Case` of a `Setting`, and its line here."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.setting import Setting
from benchmarks.timing import Case


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: for `--only`.
        title: what it is, in words.
        function: "module.function" under `benchmarks`.
        needs: the peer's package, to be imported; None where the peer is here.
        only_on: the type of device that it is meant for; None for any.
    """

    name: str
    title: str
    function: str
    needs: str | None = None
    only_on: str | None = None

    def make(self, setting: Setting) -> Case:
        """Import the row's module, and with it the peer."""
        module, _, function = self.function.partition(".")
        make: Callable[[Setting], Case] = getattr(importlib.import_module(f"benchmarks.{module}"), function)
        return make(setting)

    def left_out(self, device: str) -> str | None:
        """Why it cannot be measured here, and what to do about it; None where it can."""
        if self.only_on not in (None, device):
            return f"it is meant for {self.only_on} alone, and this is {device}"
        if self.needs is None or find_spec(self.needs) is not None:
            return None
        return f"{self.needs} is not installed: `pip install {PACKAGES[self.needs]}`, or this project with [bench]"


PACKAGES = {"diffusers": "diffusers", "sklearn": "scikit-learn"}

ROWS = [
    Row("train-pixel", "Training step, pixel U-Net", "rows_training.pixel_unet", "diffusers"),
    Row("train-latent", "Training step, latent U-Net at 8 x 8", "rows_training.latent_unet", "diffusers"),
    Row("train-vae", "Training step, autoencoder", "rows_training.vae", "diffusers"),
    Row("train-pixel-compiled", "Training step, pixel U-Net, theirs compiled", "rows_training.pixel_compiled",
        "diffusers", only_on="cuda"),
    Row("train-latent-compiled", "Training step, latent U-Net at 8 x 8, theirs compiled",
        "rows_training.latent_compiled", "diffusers", only_on="cuda"),
    Row("sample-pixel", "Sampling, pixel U-Net", "rows_sampling.pixel", "diffusers"),
    Row("sample-latent", "Sampling, latent U-Net at 8 x 8", "rows_sampling.latent", "diffusers"),
    Row("guide-pixel", "Self-guided imputation, DDPM", "rows_guidance.pixel"),
    Row("guide-latent", "Self-guided imputation, LDMiss", "rows_guidance.latent"),
    Row("m-step", "DiffPuter, epoch of an M-step", "rows_diffputer.m_step"),
    Row("e-step", "DiffPuter, trial of an E-step", "rows_diffputer.e_step"),
    Row("linear", "Imputation by linear models", "rows_linear.against_sklearn", "sklearn"),
    Row("deterministic", "Deterministic algorithms", "rows_training.deterministic", only_on="cuda"),
]  # fmt: skip
