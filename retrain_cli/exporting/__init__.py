"""Cached bottlenecks in the formats of other programs."""
