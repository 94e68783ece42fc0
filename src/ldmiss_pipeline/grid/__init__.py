"""The cells of a grid as jobs of an engine that people already run: `python -m ldmiss_pipeline grid --help`.

`worker` does one cell in a clone of its own, on any machine that reaches the origin and the remote. `engines` start
workers, `coordinator` says which and when, `shared` does what all cells need first, `collect` brings the results home.
"""
