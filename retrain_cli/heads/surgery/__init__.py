"""Heads made from heads: grown by a class, joined, read from the backbone."""
