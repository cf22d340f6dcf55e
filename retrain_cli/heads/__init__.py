"""Heads: what is trained on bottlenecks, and how it is trained."""
