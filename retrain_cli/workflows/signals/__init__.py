"""Recordings turned into folders of images."""
