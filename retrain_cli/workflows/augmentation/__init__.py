"""Distorted views of photos: computed, trained on, averaged over."""
