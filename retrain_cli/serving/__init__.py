"""`retrain serve`: a run as a service over HTTP, with a page for people."""
