"""One file for each command: flags, workflow, view."""
