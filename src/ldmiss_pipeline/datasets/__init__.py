"""The data sets: how each is obtained and read."""
