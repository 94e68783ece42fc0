"""The grid on real schedulers: Slurm and Ray are started here with two nodes each, and faults are tried on them.

`make test-cluster` runs all of it and writes the tables of docs/scaling.md.
"""
