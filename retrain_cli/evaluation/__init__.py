"""Evaluation: saved predictions, mergeable counts, and every figure made of them."""
