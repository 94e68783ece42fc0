"""The classifier that generated and imputed images are measured with: network, objective, features, FID."""
