"""Imputers nobody should omit: pixel mean, neighbour average, linear Gaussian."""
