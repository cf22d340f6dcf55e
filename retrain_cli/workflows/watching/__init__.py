"""Photos are labelled as they arrive in a folder, and move into an album."""
