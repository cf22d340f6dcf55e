"""Parts of a report that take more than its run: photos, settings, commands."""
