"""Short slices of GPU time: the items of a grid, run without DVC, carried away and put together.

A slice is some minutes on a machine that starts bare and keeps nothing. `workspace` makes the project there, `order`
says what is left to do, `stages.estimate` how long it takes, `drive` does what fits, `pieces` measures what was made,
`baggage` carries it away and back, and `publish` makes `results/<name>/` of it. Run: `python -m stages.slices --help`.
"""
