"""DiffPuter: EDM with its own Heun sampler, expectation-maximisation, and the network on rows."""
