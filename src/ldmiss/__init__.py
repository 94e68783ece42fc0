"""Diffusion models on incomplete data: the pure part (values in, values out; no files, no configs, no global RNG)."""

__version__ = "0.1.0"
