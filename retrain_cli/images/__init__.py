"""Images: the dataset walk, decoding, splits, class names and INT/EXT."""
