"""Runs that leave the workspace: exported files and bundles."""
