"""Streams of images: where each of them ends."""
