"""What training and imputation have to agree on."""

MIN_SD = 2e-3
"""Least predicted sd in the networks' range, a quarter of a grey level."""
