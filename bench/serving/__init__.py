"""Serving against references: what one call costs beside an empty one, and beside other ways to serve."""
