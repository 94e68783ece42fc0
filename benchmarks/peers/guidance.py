"""Self-guided imputation as one writes it from the paper's Eq. 4-6, and no further thought."""

import torch
from torch import Tensor, nn

BETA_MIN, BETA_MAX = 0.1, 20.0


def alpha_and_sigma(t: Tensor) -> tuple[Tensor, Tensor]:
    """Factor and standard deviation of the VP-SDE's kernel at times (B,), each (B, 1, 1, 1)."""
    alpha = torch.exp(-0.25 * t**2 * (BETA_MAX - BETA_MIN) - 0.5 * t * BETA_MIN)[:, None, None, None]
    return alpha, torch.sqrt(1 - alpha**2)


def guided_score(
    network: nn.Module, decoder: nn.Module | None, x_obs: Tensor, mask: Tensor, z: Tensor, t: Tensor
) -> Tensor:
    """The unconditional score plus the guidance at its magnitude, (B, C, h, w).

    Args:
        network: eps_theta(z_t, t).
        decoder: latents to images in [-1, 1]; none in pixel space.
        x_obs: images in [-1, 1], (B, 1, H, W); mask: 1 where observed.
        z: z_t, (B, C, h, w).
        t: times, (B,).
    """
    z = z.detach().requires_grad_(True)
    alpha, sigma = alpha_and_sigma(t)
    score = -network(z, t) / sigma
    z_0 = (z + sigma**2 * score) / alpha
    x_hat = z_0 if decoder is None else decoder(z_0)
    log_likelihood = -0.5 * ((mask * (x_obs - x_hat)) ** 2).sum()
    guidance = torch.autograd.grad(log_likelihood, z)[0]
    score = score.detach()
    norms = [values.flatten(1).norm(dim=1)[:, None, None, None] for values in (score, guidance)]
    return score + guidance * norms[0] / norms[1].clamp(min=1e-12)


def impute(
    network: nn.Module,
    decoder: nn.Module | None,
    x_obs: Tensor,
    mask: Tensor,
    z: Tensor,
    *,
    num_steps: int,
    tau: float,
    generator: torch.Generator,
) -> Tensor:
    """Euler-Maruyama with the guided score from the prior's z; the images, observed pixels pasted."""
    times = torch.cat([torch.linspace(1, tau, num_steps), torch.zeros(1)]).to(z.device)
    for i in range(num_steps):
        dt = times[i + 1] - times[i]
        t = times[i].expand(len(z))
        beta = BETA_MIN + times[i] * (BETA_MAX - BETA_MIN)
        score = guided_score(network, decoder, x_obs, mask, z, t)
        z = z + (-0.5 * beta * z - beta * score) * dt
        if i < num_steps - 1:
            noise = torch.randn(z.shape, generator=generator, device=z.device)
            z = z + torch.sqrt(beta) * torch.sqrt(-dt) * noise
    with torch.no_grad():
        x_hat = z if decoder is None else decoder(z)
    return mask * x_obs + (1 - mask) * x_hat
