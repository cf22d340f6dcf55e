"""Curves: ROC, precision-recall, coverage and thresholds of rejection."""
