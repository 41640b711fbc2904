"""What applies to a recipient, and who decided it."""
