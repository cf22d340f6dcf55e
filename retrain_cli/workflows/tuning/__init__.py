"""What `retrain finetune` does beside the training itself."""
