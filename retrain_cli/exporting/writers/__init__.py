"""What writes a run as a file of another program's format."""
