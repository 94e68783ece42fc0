"""Diffusion priors by expectation-maximisation (Rozet et al. 2024): the model completes the images it is trained on."""
