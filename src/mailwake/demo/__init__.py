"""The mail of a made-up agency, from a seed: what its customers send, and who reads it how."""
