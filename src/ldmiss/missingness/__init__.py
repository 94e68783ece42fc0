"""Mechanisms: which pixels of a complete image are observed."""
