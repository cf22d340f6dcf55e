"""Backbones: what can be chosen, how it is identified, and how it turns photos into bottlenecks."""
