"""Commands that take a run elsewhere."""
