"""Readers of single formats, and which of them opens which."""
