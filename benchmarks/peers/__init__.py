"""What ours is measured against: other libraries as their documents say, and plain versions of the same algorithm."""
