"""The fill of missing pixels, by name (apart from the mechanisms: adding one of those retrains nothing)."""

FILL_VALUES = {"black": 0.0, "grey": 0.5}
"""What a network sees where a pixel is missing, in [0, 1] units (METHODS section 8, A1; the paper says zero)."""
