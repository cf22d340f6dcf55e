"""Source and target: what similarity makes of a dataset."""
