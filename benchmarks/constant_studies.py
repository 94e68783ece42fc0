"""The studies of `benchmarks.constants`: each constant's candidates and their score on held-out training images."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.held_out import (
    SEED,
    Bench,
    Scores,
    autoencoder,
    latent_model,
    per_image,
    pixel_model,
    with_epochs,
)
from ldmiss.autoencoding import objective as autoencoder_objective
from ldmiss.autoencoding.encoder_input import MIN_OBSERVED_SHARE, remask
from ldmiss.baselines.gaussian import fit_gaussian, impute_gaussian
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.diffputer.em import Normalizer, Sampling, average_draws, denoiser_of
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.diffputer.objective import m_step_loss
from ldmiss.errors import DivergenceError
from ldmiss.imputation.autoencoder import impute_autoencoder
from ldmiss.imputation.imputer import Imputer, paste_observed
from ldmiss.networks.layers import at_precision, init_torch_default
from ldmiss.networks.restore import restore_network
from ldmiss.training.fit import fit_network

Row = dict[str, Any]
"""constant, candidate, rate (of the training images), measure, score, seconds, se_to_best; the score is None, and the
last one absent, where it did not train."""

NUM_TRAIN, TRAIN_RATE, RATES = 10_000, 0.5, (0.0, 0.5, 0.8)


def ldmiss_guidance(bench: Bench) -> Iterator[Row]:
    """Steps, weight and t_max of LDMiss's guidance."""
    images, observed = bench.tensors(bench.size(NUM_TRAIN), TRAIN_RATE)
    model = latent_model(
        bench, images, observed,
        vae=with_epochs(bench.params.vae.train, bench.size(3), batch_size=64),
        ldm=with_epochs(bench.params.ldmiss.train, bench.size(10)),
    )  # fmt: skip
    impute, num_images = model.impute_by_guidance, bench.size(200)
    found = {
        (steps, weight, t_max): bench.score(
            Imputer(partial(impute, num_steps=steps, weight=weight, t_max=t_max), stochastic=True), num_images
        )
        for steps, weight, t_max in [
            (25, 1.0, 1.0), (50, 1.0, 1.0), (100, 1.0, 1.0), (50, 0.5, 1.0), (50, 2.0, 1.0), (50, 1.0, 0.9)
        ]
    }  # fmt: skip
    name = "ldmiss.impute.guidance"
    yield from paired(f"{name}.num_steps", {str(n): found[n, 1.0, 1.0] for n in (25, 50, 100)}, TRAIN_RATE)
    yield from paired(f"{name}.weight", {str(w): found[50, w, 1.0] for w in (0.5, 1.0, 2.0)}, TRAIN_RATE)
    yield from paired(f"{name}.t_max", {str(t): found[50, 1.0, t] for t in (1.0, 0.9)}, TRAIN_RATE)


def ddpm_steps(bench: Bench) -> Iterator[Row]:
    """Steps of the pixel DDPM's guidance and replacement."""
    images, observed = bench.tensors(bench.size(NUM_TRAIN), TRAIN_RATE)
    model = pixel_model(bench, images, observed, with_epochs(bench.params.ddpm.train, bench.size(3)))
    for name, impute in (("guidance", model.impute_by_guidance), ("replacement", model.impute_by_replacement)):
        found = {
            str(steps): bench.score(Imputer(partial(impute, num_steps=steps), stochastic=True), bench.size(200))
            for steps in (20, 30, 50)
        }
        yield from paired(f"ddpm.impute.{name}.num_steps", found, TRAIN_RATE)


def paired(constant: str, found: Mapping[str, tuple[Scores, float] | None], rate: float) -> Iterator[Row]:
    """A row per candidate: mean error over images, and the standard error of its mean difference to the best's.

    A candidate that could not be trained (None) has the score None.
    """
    best = min((result[0] for result in found.values() if result), key=lambda scores: float(scores.mean()))
    row = {"constant": constant, "rate": rate, "measure": f"missing-pixel MSE of {len(best)}"}
    for candidate, result in found.items():
        if result is None:
            yield {**row, "candidate": candidate, "score": None, "seconds": 0.0}
            continue
        scores, seconds = result
        difference = scores - best
        se_to_best = float(difference.std(ddof=1) / np.sqrt(len(difference)))
        yield {
            **row, "candidate": candidate, "score": float(scores.mean()), "seconds": seconds, "se_to_best": se_to_best
        }  # fmt: skip


def ridge(bench: Bench) -> Iterator[Row]:
    """The ridge of the linear Gaussian baseline; fitted once per rate, for the ridge is only added at the end."""
    truth, shown = bench.split.to_score(bench.size(500))
    truth, shown = truth.reshape(len(truth), -1), shown.reshape(len(shown), -1)
    for rate in RATES:
        images, observed = bench.split.incomplete(bench.size(55_000), rate)
        x, observed = (images / 255).astype(np.float32).reshape(len(images), -1), observed.reshape(len(images), -1)
        mean, covariance = fit_gaussian(x, observed, ridge=0.0)
        found = {}
        for value in (0.001, 0.003, 0.01):
            start = time.perf_counter()
            x_obs = np.where(shown, truth, np.float32(0))
            x_hat = impute_gaussian(x_obs, shown, mean, covariance + value * np.eye(len(mean)))
            found[str(value)] = per_image(x_hat.clip(0, 1), truth, shown), time.perf_counter() - start
        yield from paired("baselines.train.ridge", found, rate)


def diffputer(bench: Bench) -> Iterator[Row]:
    """DiffPuter's floor of the standard deviation and its normalisation: one M-step, then the mean of two draws."""
    images, observed = bench.tensors(bench.size(NUM_TRAIN), TRAIN_RATE)
    rows, observed = images.flatten(1), observed.flatten(1)
    section, runtime = bench.params.diffputer, bench.runtime
    config = {"num_features": rows.shape[1], **section.network.model_dump()}
    recipe = with_epochs(section.em.train_first, bench.size(20), batch_size=128)
    sampling = Sampling(**section.impute.model_dump())
    truth, shown = (
        torch.from_numpy(array).flatten(1).to(runtime.device) for array in bench.split.to_score(bench.size(300))
    )

    def measure(std_floor: float, *, per_feature: bool = True) -> tuple[Scores, float] | None:
        start = time.perf_counter()
        normalizer = Normalizer.fit(rows, observed, std_floor=std_floor, per_feature=per_feature)
        x = torch.where(observed, normalizer.normalize(rows), 0.0)  # the feature mean where missing, as EM starts
        try:
            fitted = fit_network(
                DiffPuterMLP, config, lambda network: m_step_loss(denoiser_of(network, runtime.dtype), x),
                name="diffputer", init=init_torch_default, num_items=len(x), recipe=recipe, seed=SEED,
                device=runtime.device,
            )  # fmt: skip
        except DivergenceError:  # a pixel that is never lit is divided by 0
            return None
        network = restore_network(DiffPuterMLP, fitted.config, fitted.weights, device=runtime.device)
        denoise = denoiser_of(network, runtime.dtype)
        given = normalizer.normalize(torch.where(shown, truth, 0.0))
        numbers = torch.arange(len(given), device=runtime.device)
        mean = average_draws(denoise, given, shown, numbers, sampling, num_trials=2, seed=SEED)
        x_hat = paste_observed(truth, shown, normalizer.denormalize(mean)).cpu().numpy()
        return per_image(x_hat, truth.cpu().numpy(), shown.cpu().numpy()), time.perf_counter() - start

    floors = {str(floor): measure(floor) for floor in (0.01, 0.05, 0.1)} | {"none": measure(0.0)}
    yield from paired("diffputer.std_floor", floors, TRAIN_RATE)
    in_use = floors.get(str(section.std_floor)) or measure(section.std_floor)
    kinds = {"per_feature": in_use, "global": measure(section.std_floor, per_feature=False)}
    yield from paired("diffputer.normalize", kinds, TRAIN_RATE)


def encoder(bench: Bench) -> Iterator[Row]:
    """The smallest share of pixels that the robust encoder is shown in training; the faithful input as a reference."""
    for rate in RATES:
        images, observed = bench.tensors(bench.size(5_000), rate)
        found = {str(share): _autoencoder(bench, images, observed, share) for share in (0.05, 0.1, 0.2)}
        found["faithful input"] = _autoencoder(bench, images, observed, MIN_OBSERVED_SHARE, robust=False)
        yield from paired("MIN_OBSERVED_SHARE", found, rate)


def _autoencoder(
    bench: Bench, images: torch.Tensor, observed: torch.Tensor, min_share: float, *, robust: bool = True
) -> tuple[Scores, float]:
    start = time.perf_counter()
    recipe = with_epochs(bench.params.vae.train, bench.size(3), batch_size=64)
    # The share is a constant of the recipe and no argument of the objective; only this study varies it.
    with mock.patch.object(autoencoder_objective, "remask", partial(remask, min_share=min_share)):
        network, given = autoencoder(bench, images, observed, recipe, robust=robust)
    encoder, decoder = (at_precision(part, bench.runtime.dtype) for part in (network.encoder, network.decoder))

    def complete(x_obs: torch.Tensor, observed: torch.Tensor, noise: RowNoise, saved: SavedSteps) -> torch.Tensor:
        del noise, saved
        return impute_autoencoder(encoder, decoder, x_obs, observed, encoder_input=given)

    scores, _ = bench.score(Imputer(complete, stochastic=False), bench.size(1000))
    return scores, time.perf_counter() - start


STUDIES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "ldmiss_guidance": ldmiss_guidance, "ddpm_steps": ddpm_steps,
    "ridge": ridge, "diffputer": diffputer, "encoder": encoder,
}  # fmt: skip
