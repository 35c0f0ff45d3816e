"""A demonstration in memory, on disk and in a batch."""
