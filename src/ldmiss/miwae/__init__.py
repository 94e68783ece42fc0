"""MIWAE: an importance-weighted autoencoder on incomplete images, and imputation by its weights."""
