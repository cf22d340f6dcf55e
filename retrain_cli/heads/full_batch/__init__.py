"""Heads trained on all images at once: to convergence, or in closed form."""
