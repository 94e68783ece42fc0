"""The mathematics of diffusion: the SDE, parameterizations, objectives and the score network."""
