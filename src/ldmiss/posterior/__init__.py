"""The posterior of a latent diffusion model, with what its decoder leaves out."""
