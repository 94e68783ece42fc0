"""Running stages: the runner, checkpoints, signals, several stages at a time. Changes no result."""
