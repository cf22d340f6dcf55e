"""Where the photos of a dataset come from: folders of a disk, a bucket, a list, shards."""
