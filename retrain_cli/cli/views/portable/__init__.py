"""How exports look."""
