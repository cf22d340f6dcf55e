"""Settings that are tried: which there are, how they are halved, and how one is judged."""
