"""The bottleneck cache, one SQLite file a backbone, and the pipeline that fills it."""
