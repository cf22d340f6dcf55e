"""Images: formats, decoding, resizing, what a photo looks like."""
