"""Fine-tuning: training the top of a backbone, from activations cached where it begins."""
