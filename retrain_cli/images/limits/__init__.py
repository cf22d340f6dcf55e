"""Limits: what decoding a photo may take, in memory and in time."""
