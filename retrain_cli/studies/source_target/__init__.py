"""Parts of `study source-target`."""
