"""Experiments that train many heads and report means with their 95% confidence intervals."""
