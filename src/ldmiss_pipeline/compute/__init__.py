"""What a stage computes on: device, precision, threads, rows at a time. All of it can change low-order bits."""
