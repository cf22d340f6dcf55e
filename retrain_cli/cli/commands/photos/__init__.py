"""Commands that look at the photos of a dataset as a whole."""
