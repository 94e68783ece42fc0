"""Metrics of pixels and of distributions, and the tables they are collected in."""
