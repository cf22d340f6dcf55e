"""Runs on disk: a trained head with everything that it was made from."""
