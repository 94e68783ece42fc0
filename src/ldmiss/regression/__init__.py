"""The re-masked regression U-Net: every missing pixel's mean and spread, in one pass."""
