"""A dataset computed in parts, on machines that need not know each other."""
