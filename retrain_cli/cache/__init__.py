"""The bottleneck cache: one SQLite file a backbone, and how a damaged one is saved."""
