"""Metrics of pixels, of distributions and of uncertainty; `measurement` collects them."""
