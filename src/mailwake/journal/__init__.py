"""Events on disk: one append-only file a writer."""
