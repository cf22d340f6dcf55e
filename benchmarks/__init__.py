"""Speed as ratios against stated references; `python -m benchmarks --help`."""
