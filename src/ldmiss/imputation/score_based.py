"""Sampling and imputation with a score network, in pixel or latent space (paper sections 2, 3 and 5)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ldmiss.autoencoding.codecs import Codec, PixelCodec
from ldmiss.checks import check_array, check_choice, check_count, check_images_to_complete, check_number
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.diffusion.parameterization import Denoiser, ScoreFn
from ldmiss.diffusion.sde import VPSDE
from ldmiss.diffusion.unet import UNet
from ldmiss.errors import InputError
from ldmiss.imputation.imputer import check_shape
from ldmiss.networks.layers import at_precision
from ldmiss.networks.restore import restore_network
from ldmiss.sampling.guidance import self_guided_score
from ldmiss.sampling.moment_matching import moment_matching_score
from ldmiss.sampling.replacement import replace_observed
from ldmiss.sampling.samplers import SAMPLERS, euler_maruyama, sample_from_prior
from ldmiss.sampling.time_grids import uniform_time_grid


def score_model(
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    codec: Codec,
    *,
    sde: VPSDE,
    tau: float,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    where: object = "weights",
) -> "ScoreModel":
    """A trained score network as a model that samples and imputes.

    Args:
        config, weights: of the U-Net, as `FittedNetwork` has them.
        codec: between pixels and the space of diffusion.
        sde, tau: those it was trained with.
        device: where it computes.
        dtype: precision of the network's layers, float32 or bfloat16.
        where: file that the weights are from, for the message of an error.

    Raises:
        InputError: the weights do not fit the configuration, or tau is not in (0, 1).
    """
    check_number("tau", tau, above=0, below=1)
    unet = restore_network(UNet, config, weights, device=device, where=where)
    return ScoreModel(Denoiser(at_precision(unet, dtype), sde), codec, torch.device(device), tau)


@dataclass(frozen=True)
class ScoreModel:
    """A trained score network with the space it works in: LDMiss with a latent codec, DDPM with the pixel codec."""

    denoiser: Denoiser
    codec: Codec
    device: torch.device
    tau: float

    @torch.no_grad()
    def generate(
        self,
        num_rows: int,
        noise: RowNoise,
        saved: SavedSteps = NOT_SAVED,
        *,
        num_steps: int,
        sampler: str = "euler_maruyama",
    ) -> Tensor:
        """Unconditional images, scaled, (num_rows, C, H, W), by a sampler of `sample_from_prior`.

        Raises:
            InputError: a number out of range, or an unknown sampler.
        """
        check_count("num_rows", num_rows)
        _check_sampling(num_steps, sampler)
        prior = self._prior(num_rows, noise)
        z = self._from_prior(sampler, self.denoiser.score, prior, noise, saved, num_steps)
        return self.codec.decode(z)

    @torch.no_grad()
    def impute_by_guidance(
        self,
        x_obs: Tensor,
        observed: Tensor,
        noise: RowNoise,
        saved: SavedSteps = NOT_SAVED,
        *,
        num_steps: int,
        sampler: str = "euler_maruyama",
        weight: float = 1.0,
        t_max: float = 1.0,
        backprop_score: bool = True,
    ) -> Tensor:
        """Self-guided imputation (Eq. 4-6); x_obs, scaled, and observed (B, C, H, W) -> x_hat (B, C, H, W).

        `sampler`: of `sample_from_prior`; `weight`, `t_max`, `backprop_score`: see `self_guided_score`.

        Raises:
            InputError: as `Imputer`, images of another shape than the model's, a number out of range, or an unknown
                sampler.
        """
        check_images_to_complete(x_obs, observed)
        _check_sampling(num_steps, sampler)
        check_number("weight", weight, least=0)
        check_number("t_max", t_max, above=0, most=1)
        decode = self._decode_like(x_obs)
        score = self_guided_score(
            self.denoiser, decode, x_obs, observed, weight=weight, t_max=t_max, backprop_score=backprop_score
        )
        return decode(self._from_prior(sampler, score, self._prior(len(x_obs), noise), noise, saved, num_steps))

    @torch.no_grad()
    def impute_by_moment_matching(
        self,
        x_obs: Tensor,
        observed: Tensor,
        noise: RowNoise,
        saved: SavedSteps = NOT_SAVED,
        *,
        num_steps: int,
        sampler: str = "sde_dpm_solver_pp",
        num_iterations: int = 1,
        noise_sd: float = 0.07,
        t_start: float = 1.0,
        start: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Moment matching posterior sampling (Rozet et al. 2024); arguments as `impute_by_guidance`.

        Args:
            x_obs, observed, noise, saved: see `Imputer`.
            num_steps, sampler: of `sample_from_prior`.
            num_iterations: of conjugate residuals, see `moment_matching_score`.
            noise_sd: of the scaled observation about what the model can express.
            t_start: where sampling begins. Near t = 1 the posterior mean is the network's error times 1/alpha_t = 152,
                and here nothing bounds the push that follows from it.
            start: (x_obs, observed) -> a first guess in the space of diffusion, (B, *codec.shape), which is noised to
                t_start; without one, the prior stands for it.

        Raises:
            InputError: as `impute_by_guidance`.
        """
        check_images_to_complete(x_obs, observed)
        _check_sampling(num_steps, sampler)
        check_count("num_iterations", num_iterations)
        check_number("noise_sd", noise_sd, above=0)
        check_number("t_start", t_start, above=self.tau, most=1)
        decode = self._decode_like(x_obs)
        score = moment_matching_score(
            self.denoiser, decode, x_obs, observed, noise_variance=noise_sd**2, num_iterations=num_iterations
        )
        x_start = self._prior(len(x_obs), noise)
        if start is not None:
            t = torch.full((), t_start, device=self.device)
            guess = start(x_obs, observed)
            check_array("start", guess, tuple(x_start.shape), "float32")
            x_start = self.denoiser.sde.perturb(guess, t, x_start)
        return decode(self._from_prior(sampler, score, x_start, noise, saved, num_steps, t_start))

    @torch.no_grad()
    def impute_by_replacement(
        self,
        x_obs: Tensor,
        observed: Tensor,
        noise: RowNoise,
        saved: SavedSteps = NOT_SAVED,
        *,
        num_steps: int,
        num_resamples: int = 1,
    ) -> Tensor:
        """Replacement imputation (section 5); arguments as `impute_by_guidance`, `num_resamples` as `euler_maruyama`.

        Raises:
            InputError: as `impute_by_guidance`; or in latent space, where there is no notion of missing dimensions
                (section 5).
        """
        if not isinstance(self.codec, PixelCodec):
            raise InputError("replacement needs diffusion in pixel space")
        check_images_to_complete(x_obs, observed)
        check_shape(x_obs, self.codec.shape)
        _check_sampling(num_steps)
        check_count("num_resamples", num_resamples)
        sde = self.denoiser.sde
        condition = replace_observed(sde, self.codec.encode(x_obs), observed, noise)
        grid = uniform_time_grid(num_steps, self.tau, self.device)
        z = euler_maruyama(
            self.denoiser.score, sde, condition(self._prior(len(x_obs), noise), grid[0]),
            time_grid=grid, noise=noise, condition=condition, num_resamples=num_resamples, saved=saved,
        )  # fmt: skip
        return self.codec.decode(z)

    def _decode_like(self, x_obs: Tensor) -> Callable[[Tensor], Tensor]:
        """`codec.decode`, with the model's images and `x_obs` of one shape: they would be broadcast."""

        def decode(z: Tensor) -> Tensor:
            x = self.codec.decode(z)
            check_shape(x_obs, x.shape[1:])
            return x

        return decode

    def _from_prior(
        self,
        sampler: str,
        score: ScoreFn,
        prior: Tensor,
        noise: RowNoise,
        saved: SavedSteps,
        num_steps: int,
        t_start: float = 1.0,
    ) -> Tensor:
        return sample_from_prior(
            sampler,
            score,
            self.denoiser.sde,
            prior,
            num_steps=num_steps,
            tau=self.tau,
            noise=noise,
            saved=saved,
            t_start=t_start,
        )

    def _prior(self, num_rows: int, noise: RowNoise) -> Tensor:
        return noise(torch.empty(num_rows, *self.codec.shape, device=self.device))


def _check_sampling(num_steps: int, sampler: str = SAMPLERS[0]) -> None:
    check_count("num_steps", num_steps, least=2)
    check_choice("sampler", sampler, SAMPLERS)
