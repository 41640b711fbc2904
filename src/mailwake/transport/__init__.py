"""What both kinds of servers need of connections: TLS, and the PROXY protocol; whatever is spoken inside."""
