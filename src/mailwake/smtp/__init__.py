"""SMTP as values: the server's and the client's side of the protocol, with no socket in it."""
