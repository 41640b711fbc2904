"""Changing a message's links and adding its pixels, and nothing else."""
