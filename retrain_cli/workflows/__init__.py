"""What each command does, from start to end; no printing, progress by callback."""
