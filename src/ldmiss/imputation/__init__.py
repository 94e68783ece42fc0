"""Imputers: from incomplete images (and a fitted model) to completed images."""
