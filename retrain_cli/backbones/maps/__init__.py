"""Backbones that give the feature maps behind a bottleneck beside it."""
