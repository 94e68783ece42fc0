"""The one training loop, its learning-rate schedules and the exponential moving average."""
