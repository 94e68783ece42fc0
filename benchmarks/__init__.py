"""Speed, measured: each row is ours against a named baseline, alternating in the same run."""

import stages  # noqa: F401  puts the library of this clone first, before a benchmark imports it (see there)
