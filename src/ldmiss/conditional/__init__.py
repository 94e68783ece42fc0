"""Conditional diffusion by re-masking: draws of the missing pixels given the known ones, in a few passes."""
