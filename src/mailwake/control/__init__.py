"""What all workers of a node share besides keys: the known tags."""
