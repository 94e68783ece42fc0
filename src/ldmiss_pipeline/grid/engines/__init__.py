"""What starts workers: one module for each engine."""
