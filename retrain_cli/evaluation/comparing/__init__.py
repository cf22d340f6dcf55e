"""Comparing: two heads on the same photos, folds, a class more."""
