"""The fault harness: faults are tried on a tiny pipeline, and the result is compared with a clean run's, byte for byte.

`make test-faults` runs all of it and prints the table of docs/reliability.md; tests/faults/test_faults.py runs a few.
"""
