"""The studies, one file each: what it trains, and how its result is read."""
