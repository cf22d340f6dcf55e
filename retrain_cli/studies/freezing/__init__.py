"""What is trained of a network and what it starts from: trainings, baselines and tables."""
