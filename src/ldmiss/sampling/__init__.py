"""Time grids, samplers, and ways of conditioning them on what is observed."""
