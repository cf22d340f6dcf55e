"""Reports: pictures of results."""
