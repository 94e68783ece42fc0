"""Moment matching posterior sampling: guidance that knows how uncertain the posterior mean is (Rozet et al. 2024)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.parameterization import Denoiser, ScoreFn

_LEAST = 1e-20


def moment_matching_score(
    denoiser: Denoiser,
    decode: Callable[[Tensor], Tensor],
    x_obs: Tensor,
    observed: Tensor,
    *,
    noise_variance: Tensor | float,
    num_iterations: int = 1,
) -> ScoreFn:
    """The score of p_t(. | x_obs) where z_0 given z_t is Gaussian with the moments that the network implies.

    With the posterior mean z_0 = E[z_0 | z_t], its Jacobian J and the decoder's Jacobian D at z_0, Tweedie's formula
    gives V = Var[z_0 | z_t] = sigma_t^2 / alpha_t J, and

        grad log p(x_obs | z_t) = J^T D^T (noise + D V D^T)^-1 (x_obs - D(z_0))

    over the observed pixels (arXiv 2405.13712, Eq. 16; D linearises a decoder, and is the identity in pixel space).
    The inverse is applied by generalised conjugate residuals (Eisenstat et al. 1983), since the Jacobian of a trained
    network is not quite symmetric: no iteration makes the residual larger. One evaluation of the network, and per
    iteration one vector-Jacobian product through it and through the decoder one of each kind.

    Exact for Gaussian data and a linear decoder, once the iterations have converged.

    Args:
        denoiser: score and posterior mean in diffusion space.
        decode: from diffusion space to pixels (B, C, H, W), differentiable, not clipped.
        x_obs: the observation in pixels, (B, C, H, W); values at missing positions are never used.
        observed: bool (B, C, H, W).
        noise_variance: of the observation about the decoded posterior mean, broadcastable to (B, C, H, W), positive:
            for a latent model what its decoder cannot express.
        num_iterations: of conjugate residuals.
    """

    def score_fn(z_t: Tensor, t: Tensor) -> Tensor:
        alpha_t, sigma_t = denoiser.sde.marginal_prob(t)
        variance_per_slope = append_dims(sigma_t**2 / alpha_t, z_t)
        with torch.enable_grad():
            at = z_t.detach().requires_grad_(True)
            score, z_0 = denoiser.score_and_x_0(at, t)
            mean = z_0.detach().requires_grad_(True)
            x = decode(mean)
            cotangent = torch.zeros_like(x, requires_grad=True)
            (pulled,) = torch.autograd.grad(x, mean, cotangent, create_graph=True)  # linear in it: for `push`

        def pull(u: Tensor) -> Tensor:
            """J^T D^T u, (B, *latents)."""
            (at_mean,) = torch.autograd.grad(x, mean, u, retain_graph=True)
            (at_z_t,) = torch.autograd.grad(z_0, at, at_mean, retain_graph=True)
            return at_z_t

        def push(w: Tensor) -> Tensor:
            """D w at the observed pixels, (B, C, H, W)."""
            (moved,) = torch.autograd.grad(pulled, cotangent, w, retain_graph=True)
            return torch.where(observed, moved, 0.0)

        residual = torch.where(observed, x_obs - x.detach(), 0.0)
        guidance, earlier = torch.zeros_like(z_t), list[tuple[Tensor, Tensor]]()
        for _ in range(num_iterations):
            pulled_residual = pull(residual)
            image = noise_variance * residual + push(variance_per_slope * pulled_residual)
            for pulled_before, image_before in earlier:
                share = _dot(image, image_before) / _dot(image_before, image_before).clamp(min=_LEAST)
                pulled_residual = pulled_residual - append_dims(share, z_t) * pulled_before
                image = image - append_dims(share, image) * image_before
            step = _dot(residual, image) / _dot(image, image).clamp(min=_LEAST)
            guidance = guidance + append_dims(step, z_t) * pulled_residual
            residual = residual - append_dims(step, residual) * image
            earlier.append((pulled_residual, image))
        return score.detach() + guidance

    return score_fn


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of rows, (B,)."""
    return (a * b).flatten(1).sum(1)
