"""The parts of `retrain explain`."""
