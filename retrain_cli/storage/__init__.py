"""Object storage: photos that lie in a bucket, read without a copy on disk."""
