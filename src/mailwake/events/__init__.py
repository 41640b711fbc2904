"""What happened to a message, as values."""
