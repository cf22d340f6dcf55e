"""Datasets: the walk of a folder of photos, class names, splits, folds, INT and EXT, moves."""
