"""The mathematics of diffusion: SDE, parameterizations, losses, samplers, conditioning and guidance."""
