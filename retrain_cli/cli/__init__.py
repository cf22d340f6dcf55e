"""The command line: one file per command; only console.py prints."""
