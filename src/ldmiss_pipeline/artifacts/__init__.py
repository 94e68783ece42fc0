"""Where artifacts live, and the formats of those that are no models."""
