"""What workflows tell of their work."""
