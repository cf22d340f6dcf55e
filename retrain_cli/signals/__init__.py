"""Signals as images: recordings, their events, windows of them, and pictures of windows."""
