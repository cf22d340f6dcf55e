"""A dataset while its bottlenecks are computed."""
