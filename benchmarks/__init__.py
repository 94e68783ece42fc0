"""Speed, measured: each row is ours against a named baseline, alternating in the same run."""
