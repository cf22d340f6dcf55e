"""What runs an exported file, each by its format's own runtime."""
