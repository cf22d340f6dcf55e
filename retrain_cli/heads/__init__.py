"""Heads: what is trained on bottlenecks, how it is trained, and the runs that keep the result."""
