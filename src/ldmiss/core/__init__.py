"""What more than one room uses: randomness, noise, pixels and their fill, shapes, subsets, batches of rows."""
