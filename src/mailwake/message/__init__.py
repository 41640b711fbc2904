"""A message as spans over its original bytes."""
