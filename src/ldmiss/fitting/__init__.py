"""One way to fit: arrays and settings to a fitted model, one module a method."""
