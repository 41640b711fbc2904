"""Settings: their schema, their scopes, where each value came from."""
