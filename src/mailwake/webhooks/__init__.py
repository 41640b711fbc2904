"""Events to HTTP targets: batches, signatures, retries, dead letters."""
