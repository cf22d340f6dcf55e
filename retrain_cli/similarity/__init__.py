"""Which photos are alike: neighbours, near duplicates, novelty."""
