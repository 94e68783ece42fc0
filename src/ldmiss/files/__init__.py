"""The format of model files, and atomic writes: the only part of the library that touches files."""
