"""Extraction by the workers of a cluster."""
